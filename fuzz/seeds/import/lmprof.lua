-- Generated:
return {
	header = {
		clockid = "micro",
		instrument = true,
		memory = true,
		sample = false,
		sampler_count = 0,
	},
	records = {
		{ id = "0", func = "0", parent = "0", name = "(root)", what = "C", source = "(root)", count = 1, time = 0, total_time = 90, },
		{ id = "1", func = "a1", parent = "0", name = "?", what = "main", source = "? (@shop/server/main.lua:0)", count = 1, time = 7, linedefined = 0, },
		{ id = "2", func = "b2", parent = "a1", name = "pay \"all\"", what = "Lua", source = "pay (@shop/server/main.lua:12)", count = 3, time = 38.5, lines = { 1, 2, 3 }, },
		{ id = "3", func = "c3", parent = "b2", name = "insert", what = "C", source = "insert [C]", count = 9, time = 45, linedefined = -1, },
		{ id = "4", func = "b2", parent = "b2", name = "pay", what = "Lua", source = "pay (@shop/server/main.lua:12)", count = 2, time = 1, },
	},
}
