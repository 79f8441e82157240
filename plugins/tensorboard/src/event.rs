//! The part of TensorFlow's `event.proto` and `summary.proto` that is written, with their numbers.

/// What a file consists of.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Event {
    /// Seconds since 1970 UTC.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// The place on the horizontal axis.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// What it tells.
    #[prost(oneof = "What", tags = "3, 5")]
    pub what: Option<What>,
}

/// See [`Event::what`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum What {
    /// The first event: the version of the format.
    #[prost(string, tag = "3")]
    FileVersion(String),
    /// Values.
    #[prost(message, tag = "5")]
    Summary(Summary),
}

/// Values of one step.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Summary {
    /// Each with its tag.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// A value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Value {
    /// What it is called; a `/` makes groups.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// The value itself.
    #[prost(oneof = "Number", tags = "2, 5")]
    pub value: Option<Number>,
}

/// See [`Value::value`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Number {
    /// A scalar.
    #[prost(float, tag = "2")]
    Scalar(f32),
    /// A histogram.
    #[prost(message, tag = "5")]
    Histogram(HistogramProto),
}

/// How values are spread.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HistogramProto {
    /// The least.
    #[prost(double, tag = "1")]
    pub min: f64,
    /// The greatest.
    #[prost(double, tag = "2")]
    pub max: f64,
    /// How many.
    #[prost(double, tag = "3")]
    pub num: f64,
    /// Of all.
    #[prost(double, tag = "4")]
    pub sum: f64,
    /// Of all.
    #[prost(double, tag = "5")]
    pub sum_squares: f64,
    /// The upper end of each bucket, which is the lower end of the next.
    #[prost(double, repeated, tag = "6")]
    pub bucket_limit: Vec<f64>,
    /// How many are in each.
    #[prost(double, repeated, tag = "7")]
    pub bucket: Vec<f64>,
}
