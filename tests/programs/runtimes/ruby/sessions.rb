# Sessions that are kept for good in the leaky form; the fixed one forgets the oldest.

class SessionStore
  def initialize(mode)
    @mode = mode
    @sessions = {}
  end

  def remember(id)
    @sessions[id] = (97 + id % 26).chr * 60_000
    @sessions.delete(id - 50) unless @mode == "leaky"
  end
end

def render_page(id)
  ("x" * (20_000 + id % 100)).length
end

store = SessionStore.new(ARGV[0])
stop = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 1200
id = 0
while Process.clock_gettime(Process::CLOCK_MONOTONIC) < stop
  store.remember(id)
  render_page(id)
  id += 1
  sleep 0.04
end
