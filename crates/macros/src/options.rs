//! What stands in the parentheses of the attribute.

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, LitFloat, LitStr, Result, Token, parenthesized};

/// The options, each where it was given.
#[derive(Clone, Default)]
pub struct Options {
    pub name: Option<LitStr>,
    pub category: Option<Expr>,
    pub level: Option<Expr>,
    pub rate: Option<f64>,
    /// Nanoseconds, and where they stand.
    pub min_duration: Option<(u64, LitStr)>,
    pub args: Option<Vec<Arg>>,
    pub skip: Option<Ident>,
}

#[derive(Clone)]
pub struct Arg {
    pub key: Ident,
    pub value: Expr,
}

impl Options {
    /// These, and from `outer` what is not among them.
    pub fn within(self, outer: &Self) -> Self {
        let outer = outer.clone();
        Self {
            name: self.name,
            category: self.category.or(outer.category),
            level: self.level.or(outer.level),
            rate: self.rate.or(outer.rate),
            min_duration: self.min_duration.or(outer.min_duration),
            args: self.args,
            skip: self.skip,
        }
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            let option: Ident = input.call(Ident::parse_any)?;
            let known = match option.to_string().as_str() {
                "name" => set(&mut options.name, value(input)?),
                "category" => set(&mut options.category, value(input)?),
                "level" => set(&mut options.level, value(input)?),
                "rate" => set(&mut options.rate, rate(input)?),
                "min_duration" => {
                    let text: LitStr = value(input)?;
                    set(&mut options.min_duration, (nanos(&text)?, text))
                }
                "args" => {
                    let inside;
                    parenthesized!(inside in input);
                    let args = Punctuated::<Arg, Token![,]>::parse_terminated(&inside)?;
                    set(&mut options.args, args.into_iter().collect())
                }
                "skip" => set(&mut options.skip, option.clone()),
                other => {
                    let message = format!(
                        "unknown option `{other}`; there are: name, category, level, rate, min_duration, args, skip"
                    );
                    return Err(Error::new(option.span(), message));
                }
            };
            if !known {
                return Err(Error::new(option.span(), format!("`{option}` is given twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

/// False when it was set before.
fn set<T>(option: &mut Option<T>, value: T) -> bool {
    option.replace(value).is_none()
}

fn value<T: Parse>(input: ParseStream<'_>) -> Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn rate(input: ParseStream<'_>) -> Result<f64> {
    input.parse::<Token![=]>()?;
    let expected = "expected a share from 0.0 to 1.0, as in `rate = 0.1`";
    let literal: LitFloat = input.parse().map_err(|error| Error::new(error.span(), expected))?;
    let rate: f64 = literal.base10_parse()?;
    if (0.0..=1.0).contains(&rate) { Ok(rate) } else { Err(Error::new(literal.span(), expected)) }
}

fn nanos(text: &LitStr) -> Result<u64> {
    let value = text.value();
    let unit_at = value.find(|character: char| !character.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(unit_at);
    let factor = match unit.trim_start() {
        "ns" => Some(1),
        "us" | "µs" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        _ => None,
    };
    number
        .parse()
        .ok()
        .zip(factor)
        .and_then(|(number, factor): (u64, u64)| number.checked_mul(factor))
        .ok_or_else(|| {
            let expected =
                "expected a whole number and its unit, ns, us, ms or s, as in `min_duration = \"5ms\"`";
            Error::new(text.span(), expected)
        })
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key: Ident = input.call(Ident::parse_any)?;
        if input.peek(Token![=]) {
            return Ok(Self { key, value: value(input)? });
        }
        if key == "self" {
            return Err(Error::new(key.span(), "name what to record of it, as in `args(id = self.id)`"));
        }
        let value = syn::parse_quote!(#key);
        Ok(Self { key, value })
    }
}
