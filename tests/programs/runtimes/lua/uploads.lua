-- Uploads whose log is opened for each and, in the leaky form, never closed.
local mode = arg[1]
local open = {}

local function record_upload()
  local log = assert(io.open("/dev/null", "w"))
  log:write("upload\n")
  if mode == "leaky" then
    open[#open + 1] = log
  else
    log:close()
  end
end

local function read_template()
  local template = assert(io.open(arg[0], "r"))
  template:read(64)
  template:close()
end

-- Lua has no sleep of its own.
local function wait(seconds)
  os.execute("sleep " .. seconds)
end

local stop = os.time() + 1200
while os.time() < stop do
  for _ = 1, 2 do
    record_upload()
    for _ = 1, 5 do
      read_template()
    end
  end
  wait(0.2)
end
