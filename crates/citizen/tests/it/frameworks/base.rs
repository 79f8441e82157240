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

#[test]
fn the_server_tells_what_it_is() {
    check_world(
        &[(
            "a/main.lua",
            "print(GetGameName(), GetGameBuildNumber(), GetInstanceId() == GetInstanceId(), GetInstanceId() >= 0)
             SetConvar('sv_enforceGameBuild', '3095') print(GetGameBuildNumber())
             SetGameType('Freeroam') SetMapName('Hills') print(GetConvar('gametype'), GetConvar('mapname'))
             EnableEnhancedHostSupport(true) RegisterResourceAsEventHandler('x') ScheduleResourceTick('a')
             RconPrint('said\\n') RconLog({ msgType = 'serverStart' })
             MumbleCreateChannel(3) MumbleSetPlayerMuted(1, true) print(MumbleIsPlayerMuted(1), GetPlayerEP(1))",
        )],
        1,
        &["fxserver\t1604\ttrue\ttrue", "3095", "Freeroam\tHills", "said", "false\tnil"],
    );
}

#[test]
fn listeners_hear_of_convars() {
    check_world(
        &[
            (
                "a/main.lua",
                "local own = AddConvarChangeListener('log:*', function(name, reserved) print(name, GetConvar(name), reserved) end)
                 AddConvarChangeListener('Exact', function(name) print('exact', name) end)
                 local any = AddConvarChangeListener(nil, function(name) print('any', name) SetConvar('again', '1') end)
                 SetConvar('log:level', 'debug') SetConvar('log:level', 'debug') SetConvarReplicated('exact', 5)
                 RemoveConvarChangeListener(any) RemoveConvarChangeListener(99)
                 SetConvar('other', 'x') ExecuteCommand('set log:file on') print('set')
                 Wait(50) RemoveConvarChangeListener(own) SetConvar('log:level', 'x')
                 StopResource('b')",
            ),
            ("b/main.lua", "AddConvarChangeListener('', print)"),
        ],
        3,
        &[
            "log:level\tdebug\tnil",
            "any\tlog:level",
            "any\tagain",
            "exact\texact",
            "any\texact",
            "set",
            "log:file\ton\tnil",
            "b: log:file\tnil",
            "b: log:level\tnil",
            ": Stopping resource b",
        ],
    );
}

#[test]
fn events_go_with_arguments_that_a_script_packed() {
    check_world(
        &[(
            "a/main.lua",
            "AddEventHandler('e', function(...) print(source, select('#', ...), ...) if ... == 7 then CancelEvent() end end)
             local function send(...)
                 local packed = msgpack.pack_args(...)
                 return TriggerEventInternal('e', packed, #packed)
             end
             print(send()) print(send(7, false, 'x')) print(send(table.unpack({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 })))
             print(pcall(TriggerEventInternal, 'e', 'x', 1)) print(pcall(TriggerEventInternal, 'e', '', 0))
             local packed = msgpack.pack_args('hello')
             TriggerClientEventInternal('e', -1, packed, #packed) TriggerLatentClientEventInternal('e', -1, packed, #packed, 1000)",
        )],
        1,
        &[
            "\t0",
            "true",
            "\t3\t7\tfalse\tx",
            "false",
            "\t17\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\t12\t13\t14\t15\t16\t17",
            "true",
            "false\tbad argument #2 to 'TriggerEventInternal' (packed list of arguments expected, got string)",
            "false\tbad argument #2 to 'TriggerEventInternal' (packed list of arguments expected, got string)",
        ],
    );
}

#[test]
fn manifests_of_the_older_kind_need_no_version() {
    check_world(
        &[
            ("a/__resource.lua", "dependency 'b'\nserver_scripts { '@b/lib.lua', 'server.lua' }"),
            ("a/server.lua", "print(lib, GetResourceMetadata('a', 'server_script', 0))"),
            ("b/__resource.lua", "resource_manifest_version '44febabe-d386-4d18-afbe-5e627f4af937'"),
            ("b/lib.lua", "lib = 'shared'"),
        ],
        1,
        &["shared\t@b/lib.lua"],
    );
}

#[test]
fn json_asks_what_to_write_instead_of_functions() {
    check_world(
        &[(
            "a/main.lua",
            "local options = { indent = false, exception = function(reason, value) return type(value) end }
             print(json.encode({ f = print }, options), json.encode({ 1, { json.null, 'x' } }, options), json.encode(print, options))
             local loop = {} loop[1] = loop print(json.encode(loop, options), json.encode({ vector3(1, 2, 3) }, options))
             print(pcall(function() local text = json.encode({ f = print }) end))
             print(pcall(function() local text = json.encode({ f = print }, { exception = function() error('no', 0) end }) end))",
        )],
        1,
        &[
            "{\"f\":\"function\"}\t[1,[null,\"x\"]]\t\"function\"",
            "[\"table\"]\t[{\"x\":1.0,\"y\":2.0,\"z\":3.0}]",
            "false\t@a/main.lua:4: json.encode: cannot write a value of type function",
            "false\t@a/main.lua:5: no",
        ],
    );
}
