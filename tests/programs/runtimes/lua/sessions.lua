-- Sessions that are kept for good in the leaky form; the fixed one forgets the oldest.
local mode = arg[1]
local sessions = {}

local function remember_session(id)
  sessions[id] = string.rep(string.char(97 + id % 26), 60000)
  if mode ~= "leaky" then
    sessions[id - 50] = nil
  end
end

local function render_page(id)
  return #string.rep("x", 20000 + id % 100)
end

local stop = os.time() + 1200
local id = 0
while os.time() < stop do
  for _ = 1, 5 do
    remember_session(id)
    render_page(id)
    id = id + 1
  end
  os.execute("sleep 0.2")
end
