//! Prints the order in which `pairs` visits some names, for the seed given: the same in each run.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).map(|seed| seed.parse()).transpose()?;
    tickscope_lua::set_hash_seed(seed);
    let lua = mlua::Lua::new();
    let source = "local all = {} for key in pairs { ann = 1, bob = 2, cid = 3, dan = 4, eve = 5 } do all[#all + 1] = key end
        return table.concat(all, ' ')";
    println!("{}", lua.load(source).eval::<String>()?);
    Ok(())
}
