//! A packed array of numbers, which crosses between machines without a look at its elements.

use std::sync::Arc;

use mlua::{Error, Lua, MetaMethod, Result, Table, UserData, UserDataMethods, Value};

use crate::parcel::Carried;

/// The script's view: `local a = Async.Numbers(1000)`, `a[1] = 0.5`, `#a`. Elements are floats (`f64`), counted from 1.
///
/// A copy shares the elements until one side writes: then that side copies them (8 bytes each).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers(Arc<Vec<f64>>);

impl Numbers {
    /// The elements.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    fn place(&self, index: i64) -> Result<usize> {
        let place = usize::try_from(index).ok().and_then(|index| index.checked_sub(1));
        place.filter(|place| *place < self.0.len()).ok_or_else(|| {
            Error::runtime(format!("index {index} of an array of {} numbers (from 1)", self.0.len()))
        })
    }

    /// Of a count (all zero) or of a list.
    pub(crate) fn make(from: &Value) -> Result<Self> {
        /// 2 GiB: more is a mistake.
        const MOST: usize = 1 << 28;
        match from {
            Value::Integer(length) => match usize::try_from(*length).ok().filter(|length| *length <= MOST) {
                Some(length) => Ok(Self(Arc::new(vec![0.0; length]))),
                None => Err(Error::runtime(format!("an array has 0 to {MOST} numbers, not {length}"))),
            },
            Value::Table(list) => Self::from_list(list),
            other => Err(Error::runtime(format!(
                "an array of numbers is made of how many there are, or of a list, not of a {}",
                other.type_name()
            ))),
        }
    }

    fn from_list(list: &Table) -> Result<Self> {
        let numbers = list.clone().sequence_values::<f64>().collect::<Result<Vec<f64>>>()?;
        Ok(Self(Arc::new(numbers)))
    }
}

impl From<Vec<f64>> for Numbers {
    fn from(numbers: Vec<f64>) -> Self {
        Self(Arc::new(numbers))
    }
}

impl Carried for Numbers {
    fn unpack(&self, lua: &Lua) -> Result<Value> {
        lua.create_userdata(self.clone()).map(Value::UserData)
    }
}

impl UserData for Numbers {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Len, |_, numbers, ()| Ok(numbers.0.len()));
        methods.add_meta_method(MetaMethod::Index, |lua, numbers, key: Value| match key {
            Value::Integer(index) => Ok(Value::Number(numbers.0[numbers.place(index)?])),
            Value::String(name) if name == "totable" => {
                Ok(Value::Function(lua.create_function(|lua, numbers: mlua::UserDataRef<Self>| {
                    lua.create_sequence_from(numbers.0.iter().copied())
                })?))
            }
            other => Err(Error::runtime(format!(
                "an array of numbers has numbers and `totable`, not {}",
                other.to_string()?
            ))),
        });
        methods.add_meta_method_mut(MetaMethod::NewIndex, |_, numbers, (index, number): (i64, f64)| {
            let place = numbers.place(index)?;
            Arc::make_mut(&mut numbers.0)[place] = number;
            Ok(())
        });
    }
}
