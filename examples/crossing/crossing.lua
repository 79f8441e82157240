-- What every thread does in Lua. `enter`, `leave` and the like tell the tree; `managed` runs C#.
local chunk = enter("main chunk")

-- Lua → C → C# → C → Lua, so many levels, with two branches at each.
function walk(levels)
  local call = enter("walk")
  local sum = 1
  if levels > 0 then
    sum = sum + managed("Walk", levels - 1)
    sum = sum + managed("Walk", levels - 1)
  end
  leave(call)
  return sum
end

function countdown(n)
  local call = enter("countdown")
  local rest = 0
  if n > 0 then rest = countdown(n - 1) else rest = managed("Countdown", 3) end
  leave(call)
  return rest + 1
end

local function fail(n)
  local call = enter("fail")
  if n == 0 then error("as it should") end
  fail(n - 1)
  leave(call)
end

-- Raises an error, from some levels down.
function fails(n)
  local call = enter("fails")
  fail(n)
  leave(call)
  return 0
end

-- The error ends in Lua, below the C# that called this.
function careful(n)
  local call = enter("careful")
  local ok = pcall(fails, n)
  caught(call)
  leave(call)
  return ok and 1 or 0
end

-- What C# throws passes through here as an error.
function through(n)
  local call = enter("through")
  local result = managed("Throw", n)
  leave(call)
  return result
end

-- Yields `n` values, and runs C# between.
local function generate(n)
  local call = enter("generate")
  for i = 1, n do
    managed("Leaf", i)
    suspend(call)
    coroutine.yield(i)
    again(call)
  end
  leave(call)
  return 0
end

-- Yields inside a pcall, and fails there after it went on.
local function stumble()
  local call = enter("stumble")
  local function inside()
    local inner = enter("inside")
    suspend(call)
    coroutine.yield(1)
    again(call)
    through(1)
    leave(inner)
  end
  pcall(inside)
  caught(call)
  suspend(call)
  coroutine.yield(2)
  again(call)
  leave(call)
end

local function dies()
  local call = enter("dies")
  suspend(call)
  coroutine.yield(1)
  again(call)
  fail(1)
  leave(call)
end

-- A coroutine that resumes another, which runs C# that runs Lua.
local function nested(levels)
  local call = enter("nested")
  local other = coroutine.create(generate)
  for i = 1, 3 do
    coroutine.resume(other, 2)
    suspend(call)
    coroutine.yield(i)
    again(call)
  end
  walk(levels)
  leave(call)
end

function coroutines(levels)
  local call = enter("coroutines")
  local all = { generate, stumble, dies, nested }
  for i = 1, 4 do all[i] = coroutine.create(all[i]) end
  for turn = 1, 5 do
    for i = 1, 4 do
      if coroutine.status(all[i]) ~= "dead" then
        coroutine.resume(all[i], levels)
        caught(call)
      end
    end
    countdown(1)
  end
  local left = coroutine.create(generate)
  coroutine.resume(left, levels) -- never again
  leave(call)
  return 0
end

-- Resumed by C#, some values long.
function worker(n)
  local call = enter("worker")
  for i = 1, n do
    walk(1)
    suspend(call)
    coroutine.yield(i)
    again(call)
  end
  leave(call)
end

-- There is C# between here and whatever could be resumed.
function yields(n)
  local call = enter("yields")
  coroutine.yield(n)
  leave(call)
  return n
end

local function errors()
  local call = enter("errors")
  managed("Errors", 1)
  walk(1)
  leave(call)
end

function main(levels)
  local call = enter("main")
  walk(levels)
  countdown(2)
  managed("Errors", levels)
  for i = 1, 2 do
    pcall(through, i)
    caught(call)
  end
  coroutines(levels)
  managed("Drive", 2)
  coroutine.resume(coroutine.create(errors))
  callback(2)
  leave(call)
  return 0
end

leave(chunk)
