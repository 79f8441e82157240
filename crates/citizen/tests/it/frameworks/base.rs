//! What scripts of every kind lean on.

use crate::world::check_world;

#[test]
fn the_files_of_a_folder_are_listed_with_the_words_of_a_shell() {
    check_world(
        &[
            (
                "a/main.lua",
                "local function names(command)
                    local listing, problem = io.popen(command)
                    if not listing then return problem end
                    local found = {}
                    for name in listing:lines() do found[#found + 1] = name end
                    listing:close()
                    return table.concat(found, ' ')
                 end
                 print(names('ls \"' .. GetResourcePath('a') .. '/sounds/\"'))
                 print(names('dir \"' .. GetResourcePath('a') .. '/sounds/\" /b'))
                 print(names('ls \"/etc/\"'))
                 print(names('rm \"' .. GetResourcePath('a') .. '/sounds/\"'):match('Permission denied'))
                 local again = io.readdir(GetResourcePath('a') .. '/sounds')
                 for name in again:lines() do print(name) end",
            ),
            ("a/sounds/b.ogg", ""),
            ("a/sounds/a.ogg", ""),
        ],
        1,
        &[
            "a.ogg b.ogg",
            "a.ogg b.ogg",
            "ls \"/etc/\": Permission denied",
            "Permission denied",
            "a.ogg",
            "b.ogg",
        ],
    );
}

#[test]
fn warnings_are_seen() {
    check_world(
        &[("a/main.lua", "warn('item ', 'x', ' is missing') warn('@on')")],
        1,
        &["^3warning: item x is missing^7"],
    );
}
