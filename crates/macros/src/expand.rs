//! From the function that was written to one that records itself.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, Block, Error, ImplItem, ImplItemFn, ItemFn, ItemImpl, LitStr, Result, ReturnType, Signature,
    Type,
};

use crate::options::Options;

/// What the attribute makes of an item.
pub fn profile(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options: Options = syn::parse2(options)?;
    if let Some(skip) = &options.skip {
        let message = "`skip` belongs on a method of an `impl` that has the attribute";
        return Err(Error::new(skip.span(), message));
    }
    if let Ok(mut block) = syn::parse2::<ItemImpl>(item.clone()) {
        methods(&options, &mut block)?;
        return Ok(block.into_token_stream());
    }
    match syn::parse2::<ItemFn>(item.clone()) {
        Ok(mut function) => {
            let name = options.name.clone();
            *function.block = body(&options, name, &function.sig, &function.block)?;
            Ok(function.into_token_stream())
        }
        Err(error) if is_function(&item) => Err(error),
        Err(_) => {
            let message = "expected a function with a body, a method with one, or an `impl` block";
            Err(Error::new(first_token(&item), message))
        }
    }
}

/// Whether it was meant to be one: its own error says more than ours.
fn is_function(item: &TokenStream) -> bool {
    let mut words = item.clone().into_iter().map(|token| token.to_string());
    words.any(|word| word == "fn")
        && item.clone().into_iter().last().is_some_and(|last| last.to_string() != ";")
        && !item
            .clone()
            .into_iter()
            .any(|token| matches!(token.to_string().as_str(), "struct" | "enum" | "trait" | "mod"))
}

fn first_token(item: &TokenStream) -> Span {
    item.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span())
}

fn methods(outer: &Options, block: &mut ItemImpl) -> Result<()> {
    if let Some(name) = &outer.name {
        return Err(Error::new(name.span(), "`name` on an `impl` would name all its methods alike"));
    }
    if let Some(arg) = outer.args.iter().flatten().next() {
        return Err(Error::new(arg.key.span(), "`args` belongs on the methods: they have different ones"));
    }
    let of = type_name(&block.self_ty)?;
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let own = own_options(&mut method.attrs)?;
        let given = own.is_some();
        let own = own.unwrap_or_default();
        let has_minimum = own.min_duration.is_some();
        let mut options = own.within(outer);
        // `async` methods have none: the block's is for the others.
        if method.sig.asyncness.is_some() && !has_minimum {
            options.min_duration = None;
        }
        let constant = method.sig.constness.is_some();
        if options.skip.is_some() || constant && !given {
            continue;
        }
        wrap_method(&options, &of, method)?;
    }
    Ok(())
}

fn wrap_method(options: &Options, of: &str, method: &mut ImplItemFn) -> Result<()> {
    let name = options
        .name
        .clone()
        .unwrap_or_else(|| LitStr::new(&format!("{of}::{}", method.sig.ident), method.sig.ident.span()));
    method.block = body(options, Some(name), &method.sig, &method.block)?;
    Ok(())
}

/// Takes the method's own attribute away: its options are ours to read.
fn own_options(attributes: &mut Vec<Attribute>) -> Result<Option<Options>> {
    let is_ours =
        |attribute: &Attribute| attribute.path().segments.last().is_some_and(|last| last.ident == "profile");
    let Some(at) = attributes.iter().position(is_ours) else { return Ok(None) };
    let attribute = attributes.remove(at);
    match attribute.meta {
        syn::Meta::Path(_) => Ok(Some(Options::default())),
        _ => attribute.parse_args().map(Some),
    }
}

fn type_name(of: &Type) -> Result<String> {
    match of {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        Type::Reference(reference) => Some(type_name(&reference.elem)?),
        // Of a type that a macro was given.
        Type::Group(group) => Some(type_name(&group.elem)?),
        Type::Paren(paren) => Some(type_name(&paren.elem)?),
        _ => None,
    }
    .ok_or_else(|| Error::new(of.span(), "expected an `impl` of a type with a name"))
}

/// The body of a function that records itself.
fn body(options: &Options, name: Option<LitStr>, signature: &Signature, block: &Block) -> Result<Block> {
    if let Some(constant) = &signature.constness {
        return Err(Error::new(
            constant.span(),
            "a `const fn` may run in the compiler, where nothing is recorded",
        ));
    }
    let is_async = signature.asyncness.is_some();
    if let Some((_, text)) = options.min_duration.as_ref().filter(|_| is_async) {
        let message = "an `async fn` has no `min_duration`: its polls are recorded as they come";
        return Err(Error::new(text.span(), message));
    }
    let probe = probe(options, name);
    let default = if is_async { quote!(TASK) } else { quote!(FUNCTION) };
    let category = match &options.category {
        Some(category) => quote!(::tickscope::AsCategory::id(&#category)),
        None => quote!(::tickscope::CategoryId::#default),
    };
    let keys = options.args.iter().flatten().map(|arg| &arg.key);
    let values = options.args.iter().flatten().map(|arg| &arg.value);
    let args = quote!(&[#(::tickscope::__arg!(__tickscope_number, #keys, #values)),*]);
    let compiled = match &options.level {
        Some(level) => quote!(const { ::tickscope::Level::is_compiled(#level) }),
        None => quote!(true),
    };
    let statements = &block.stmts;
    let block = if is_async {
        let answer = match &signature.output {
            ReturnType::Default => quote!(()),
            ReturnType::Type(_, of) => of.to_token_stream(),
        };
        // Tells the compiler what `?` and `into` answer; one that is not named is known without, and so is that there
        // is none, which a variable may not be of.
        let is_never = matches!(&signature.output, ReturnType::Type(_, of) if matches!(**of, Type::Never(_)));
        let of = if is_never || contains_impl(&answer) { quote!() } else { quote!(: #answer) };
        quote!({
            let __tickscope_span = if #compiled {
                #probe
                let __tickscope_category = #category;
                match __TICKSCOPE_PROBE.admit_async(__tickscope_category) {
                    ::core::option::Option::Some(__tickscope_number) => {
                        __TICKSCOPE_PROBE.begin_async(__tickscope_number, __tickscope_category, #args)
                    }
                    ::core::option::Option::None => ::tickscope::AsyncSpan::none(),
                }
            } else {
                ::tickscope::AsyncSpan::none()
            };
            ::tickscope::__around(__tickscope_span, async move {
                #[allow(unreachable_code, clippy::let_and_return)]
                {
                    let __tickscope_answer #of = { #(#statements)* };
                    __tickscope_answer
                }
            })
            .await
        })
    } else {
        let enter = match options.args.iter().flatten().next() {
            None => quote!(__TICKSCOPE_PROBE.enter(#category)),
            Some(_) => quote!({
                let __tickscope_category = #category;
                let mut __tickscope_guard = __TICKSCOPE_PROBE.admit(__tickscope_category);
                if __tickscope_guard.is_admitted() {
                    let __tickscope_number = __tickscope_guard.number();
                    __tickscope_guard.begin(__tickscope_category, #args);
                }
                __tickscope_guard
            }),
        };
        quote!({
            let __tickscope_span = if #compiled {
                #probe
                #enter
            } else {
                ::tickscope::ProbeGuard::none()
            };
            #(#statements)*
        })
    };
    syn::parse2(quote_spanned!(signature.ident.span()=> #block))
}

/// The static that stands for this place.
fn probe(options: &Options, name: Option<LitStr>) -> TokenStream {
    let new = match name {
        Some(name) => quote!(new(#name, ::core::file!(), ::core::line!())),
        None => quote!(asking(__tickscope_name, ::core::file!(), ::core::line!())),
    };
    let rate = options.rate.unwrap_or(1.0);
    let min_ns = options.min_duration.as_ref().map_or(0, |(nanos, _)| *nanos);
    quote! {
        fn __tickscope_here() {}
        #[allow(dead_code)]
        fn __tickscope_name() -> &'static str {
            ::tickscope::__function_name(::core::any::type_name_of_val(&__tickscope_here))
        }
        static __TICKSCOPE_PROBE: ::tickscope::Probe = ::tickscope::Probe::#new.limited(#rate, #min_ns);
    }
}

fn contains_impl(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        proc_macro2::TokenTree::Group(group) => contains_impl(&group.stream()),
        proc_macro2::TokenTree::Ident(ident) => ident == "impl",
        _ => false,
    })
}

#[cfg(test)]
mod tests;
