//! The order in which `pairs` visits some names, for a seed: the same in each run.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for seed in [7, 8, 7] {
        tickscope_lua::set_hash_seed(Some(seed));
        let lua = mlua::Lua::new();
        let source = "local all = {}
            for key in pairs { ann = 1, bob = 2, cid = 3, dan = 4, eve = 5 } do all[#all + 1] = key end
            return table.concat(all, ' ')";
        println!("{seed}: {}", lua.load(source).eval::<String>()?);
    }
    Ok(())
}
