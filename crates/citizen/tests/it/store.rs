//! The key-value store, over runs.

use crate::world::World;

const SCRIPT: &str = "
    print(GetResourceKvpString('text'), GetResourceKvpInt('number'), GetResourceKvpFloat('float'), GetExternalKvpInt('b', 'n'))
    SetResourceKvp('text', 'a\\tb\\n\\0\\xff') SetResourceKvpInt('number', -5) SetResourceKvpFloatNoSync('float', 0.5)
    SetResourceKvp('gone', 'x') DeleteResourceKvp('gone')
    local handle, keys = StartFindKvp('t'), {} repeat local key = FindKvp(handle) keys[#keys + 1] = key until not key
    EndFindKvp(handle) print(table.concat(keys, ' '), GetResourceKvpString('gone'), GetResourceKvpString('number'))";

#[test]
fn values_outlive_a_run_where_there_is_a_data_folder() {
    let mut world = World::new(&[("a/main.lua", SCRIPT), ("b/main.lua", "SetResourceKvpInt('n', 7)")]);
    let fresh = ["a: nil\t0\t0.0\t0", "a: text\tnil\tnil"];
    assert_eq!(world.run(0).lines, fresh);
    assert_eq!(world.run(0).lines, fresh);
    world.config.data = Some(world.folder.path().join("data"));
    assert_eq!(world.run(0).lines, fresh);
    assert_eq!(world.run(0).lines, ["a: a\tb\n\0\u{fffd}\t-5\t0.5\t7", "a: text\tnil\tnil"]);
}

#[test]
fn a_broken_file_is_told_and_the_server_runs() {
    let mut world =
        World::new(&[("a/main.lua", "print('runs', GetResourceKvpInt('n')) SetResourceKvpInt('n', 1)")]);
    let data = world.folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("kvp.txt"), [0xff, 0xfe]).unwrap();
    world.config.data = Some(data.clone());
    let lines = world.run(0).lines;
    assert!(
        lines[0].starts_with("error server: the key-value store cannot be read, and is empty now: "),
        "{lines:?}"
    );
    assert_eq!(lines[1..], ["a: runs\t0"]);
    assert_eq!(std::fs::read(data.join("kvp.txt.broken")).unwrap(), [0xff, 0xfe]);
    assert_eq!(world.run(0).lines, ["a: runs\t1"]);
}

#[test]
fn searches_that_are_never_ended_run_out() {
    let world = World::new(&[(
        "a/main.lua",
        "local last for i = 1, 65 do last = StartFindKvp('x') end print(last, FindKvp(last), FindKvp(0)) EndFindKvp(3) print(StartFindKvp(''))",
    )]);
    assert_eq!(world.run(0).lines, ["a: -1\tnil\tnil", "a: 3"]);
}
