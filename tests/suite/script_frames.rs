//! Scripts that ran before the agent did: while another function opens and closes ten times as many files, the function that
//! keeps them comes first, by the name that its runtime gives it.

use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use leakwatch_tests::{agent::Agent, binary, leaks::Leak, package, sites};
use rustix::process::Signal;

/// How long they leak before they are judged.
const LEAKING: Duration = Duration::from_secs(12);
/// Looks at most: names are looked up when somebody asks for them.
const LOOKS: u32 = 3;

/// An interpreter as Debian ships it, and a script for it that keeps 50 files a second until it has 900.
struct Script {
    interpreter: &'static str,
    package: &'static str,
    file: &'static str,
    text: &'static str,
    function: &'static str,
}

const SCRIPTS: [Script; 4] = [
    Script {
        interpreter: "php8.2",
        package: "php-cli",
        file: "keep.php",
        text: "<?php
final class Log {
    private static array $open = [];
    static function keep() { self::$open[] = fopen('/dev/null', 'r'); }
}
function churn() { fclose(fopen('/dev/null', 'r')); }
for ($i = 0; $i < 900; $i++) {
    Log::keep();
    for ($j = 0; $j < 10; $j++) { churn(); }
    usleep(20000);
}
sleep(60);
",
        function: "Log::keep",
    },
    // In a thread of its own, while the main thread churns.
    Script {
        interpreter: "ruby3.1",
        package: "ruby",
        file: "keep.rb",
        text: "
$open = []
def keep
  $open << File.open('/dev/null')
end
def churn
  File.open('/dev/null').close
end
Thread.new { 900.times { keep; sleep 0.02 } }
900.times { 10.times { churn }; sleep 0.02 }
sleep 60
",
        function: "keep",
    },
    Script {
        interpreter: "perl",
        package: "perl",
        file: "keep.pl",
        text: "
my @open;
sub keep { open(my $log, '<', '/dev/null'); push @open, $log }
sub churn { for my $i (1 .. 10) { open(my $log, '<', '/dev/null') } }
for (1 .. 900) { keep(); churn(); select undef, undef, undef, 0.02 }
sleep 60;
",
        function: "main::keep",
    },
    Script {
        interpreter: "lua5.4",
        package: "lua5.4",
        file: "keep.lua",
        text: "
local open = {}
local function keep() open[#open + 1] = io.open('/dev/null') end
local function churn() io.open('/dev/null'):close() end
for _ = 1, 180 do
  for _ = 1, 5 do
    keep()
    for _ = 1, 10 do churn() end
  end
  os.execute('sleep 0.1')
end
os.execute('sleep 60')
",
        function: "function <keep.lua:3>",
    },
];

#[test]
fn functions_that_keep_files() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut leaks = Vec::new();
    for script in &SCRIPTS {
        let Some(interpreter) = package::find_stock(script.interpreter, script.package)? else {
            continue;
        };
        let file = dir.path().join(script.file);
        fs::write(&file, script.text)?;
        leaks.push((script, Leak::start(Command::new(interpreter).arg(file))?));
    }
    thread::sleep(Duration::from_secs(1));
    let agent = Agent::start::<&str>(&binary::leakwatch()?, [], Duration::from_secs(30))?;
    thread::sleep(LEAKING);
    let mut wrong = Vec::new();
    for _ in 0..LOOKS {
        wrong = judge(&agent, &mut leaks)?;
        if wrong.is_empty() {
            break;
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    agent.stop(Signal::TERM)?;
    Ok(())
}

/// What is wrong.
fn judge(agent: &Agent, leaks: &mut [(&Script, Leak)]) -> Result<Vec<String>> {
    for (_, leak) in &mut *leaks {
        leak.still_runs()?;
    }
    let snapshot = agent.snapshot_of_all(leaks.iter().map(|(_, leak)| leak.pid()))?;
    let mut wrong = Vec::new();
    for (script, leak) in leaks {
        let row = sites::row(&snapshot, leak.pid())
            .with_context(|| format!("{} is not in the snapshot", script.interpreter))?;
        if !sites::top_is(row, "file", script.function) {
            wrong.push(format!("{}: {}", script.file, sites::describe(row, "file")));
        }
    }
    Ok(wrong)
}
