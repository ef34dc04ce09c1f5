# Uploads whose log is opened for each and, in the leaky form, never closed.

class UploadLog
  def initialize(mode)
    @mode = mode
    @open = []
  end

  def record
    log = File.open("/dev/null", "w")
    log.write("upload\n")
    if @mode == "leaky"
      @open << log
    else
      log.close
    end
  end
end

def read_template
  File.open(__FILE__) { |template| template.read(64) }
end

log = UploadLog.new(ARGV[0])
stop = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 1200
while Process.clock_gettime(Process::CLOCK_MONOTONIC) < stop
  log.record
  5.times { read_template }
  sleep 0.1
end
