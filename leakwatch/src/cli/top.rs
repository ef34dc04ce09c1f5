//! `leakwatch top`: what was typed.

use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use clap::{
    ColorChoice,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser},
};

use super::time;
use crate::present::{
    fields::{FIELDS, FieldId},
    filter::Filter,
    report::Format,
    rows::RowSelection,
    sort::Sort,
    top::{Theme, TopOptions},
};

/// Shorter intervals cost more than they show.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Shows what every process holds and how fast it grows.
///
/// A terminal gets a live screen (? shows its keys); anything else, and every option that says so, gets text: one table,
/// document or line per interval.
#[derive(Clone, Debug, clap::Args)]
pub struct TopArgs {
    /// Write one snapshot and leave: the same as --batch --iterations 1
    #[arg(long, conflicts_with = "iterations")]
    pub once: bool,

    /// Write text instead of drawing on the terminal
    #[arg(short, long)]
    pub batch: bool,

    /// Write so many snapshots and leave (implies --batch)
    #[arg(short = 'n', long, value_name = "N")]
    pub iterations: Option<NonZeroU64>,

    /// Time between two readings: 500ms, 2s, 1m30s; a bare number is seconds
    #[arg(short, long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    pub interval: Duration,

    /// How to write snapshots (implies --batch) [default: table]
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<OutputFormat>,

    /// Only these processes; their descriptors are told apart by kind. Repeatable
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',')]
    pub pids: Vec<u32>,

    /// Only processes that match all terms: words, or fields as in 'rss>500MiB growth>10MiB/h state!=healthy'
    #[arg(long, value_name = "TERMS", default_value = "", hide_default_value = true)]
    pub filter: Filter,

    /// What to sort by: the worst state first, numbers largest first, text alphabetically
    #[arg(long, value_name = "FIELD", default_value = "state", value_parser = field())]
    pub sort: FieldId,

    /// Turn the order round
    #[arg(long)]
    pub invert: bool,

    /// Show children below their parents
    #[arg(long)]
    pub tree: bool,

    /// Tell the descriptors of every process apart by kind, and not only of those asked for with --pid
    #[arg(long)]
    pub fd_kinds: bool,

    /// Use nothing outside ASCII; the default where the locale is not UTF-8
    #[arg(long)]
    pub ascii: bool,

    /// Read from the agent that listens on this socket instead of loading probes
    #[arg(long, value_name = "PATH")]
    pub connect: Option<PathBuf>,

    /// Show a recording or a series in CSV instead, at the speed at which it was made; as text all of it at once, and with --once its end
    #[arg(long, value_name = "FILE", conflicts_with_all = ["connect", "interval", "fd_kinds", "record"])]
    pub replay: Option<PathBuf>,

    /// Record what is read, as `leakwatch record` does
    #[arg(long, value_name = "FILE", conflicts_with = "connect")]
    pub record: Option<PathBuf>,
}

/// How to write snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// Aligned columns for people
    Table,
    /// One indented document per snapshot
    Json,
    /// One line per snapshot
    Jsonl,
    /// One line per process, in base units
    Csv,
}

impl From<OutputFormat> for Format {
    fn from(format: OutputFormat) -> Self {
        match format {
            OutputFormat::Table => Self::Table,
            OutputFormat::Json => Self::Json,
            OutputFormat::Jsonl => Self::Jsonl,
            OutputFormat::Csv => Self::Csv,
        }
    }
}

/// Text instead of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How many snapshots; `None` until stopped.
    pub iterations: Option<NonZeroU64>,
    /// How they are written.
    pub format: Format,
}

impl TopArgs {
    /// Whether text is wanted: asked for by an option, or because there is no terminal to draw on.
    pub fn batch(&self, terminal: bool) -> Option<Batch> {
        let iterations = if self.once {
            Some(NonZeroU64::MIN)
        } else {
            self.iterations
        };
        let wanted = self.batch || iterations.is_some() || self.output.is_some() || !terminal;
        wanted.then(|| Batch {
            iterations,
            format: self.output.unwrap_or(OutputFormat::Table).into(),
        })
    }

    /// Which processes, in which order.
    pub fn rows(&self) -> RowSelection {
        RowSelection {
            pids: self.pids.iter().copied().collect(),
            filter: self.filter.clone(),
            sort: Sort {
                field: self.sort,
                invert: self.invert,
            },
            tree: self.tree,
            ..RowSelection::default()
        }
    }

    /// What the live screen begins with. `color` is the global flag, `environment` reads a variable.
    pub fn screen(&self, color: ColorChoice, environment: impl Fn(&str) -> Option<String>) -> TopOptions {
        TopOptions {
            rows: self.rows(),
            fd_kinds_of_all: self.fd_kinds,
            theme: Theme {
                color: wants_color(color, &environment),
                ascii: self.wants_ascii(environment),
            },
        }
    }

    /// Whether nothing outside ASCII may be shown.
    pub fn wants_ascii(&self, environment: impl Fn(&str) -> Option<String>) -> bool {
        self.ascii || locale_is_ascii(environment)
    }
}

/// Whether the terminal was not said to take UTF-8.
pub(super) fn locale_is_ascii(environment: impl Fn(&str) -> Option<String>) -> bool {
    // The first that is set decides, as for setlocale(3).
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| environment(name).filter(|value| !value.is_empty()));
    let codeset = locale.unwrap_or_default().to_ascii_lowercase();
    !(codeset.contains("utf-8") || codeset.contains("utf8"))
}

/// `auto` on a terminal: no-color.org, and terminals that say they have none.
pub(super) fn wants_color(choice: ColorChoice, environment: impl Fn(&str) -> Option<String>) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let refused = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
            !refused && environment("TERM").is_none_or(|terminal| terminal != "dumb")
        }
    }
}

/// Reads a time between two readings.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let interval = time::parse(text)?;
    if interval < SHORTEST_INTERVAL {
        return Err("an interval has at least 100ms".to_owned());
    }
    Ok(interval)
}

fn field() -> ValueParser {
    let known = |field: &crate::present::fields::Field| {
        PossibleValue::new(field.name).help(field.help).alias(field.key)
    };
    PossibleValuesParser::new(FIELDS.iter().map(known))
        .try_map(|name| FieldId::named(&name).ok_or("no such field"))
        .into()
}

#[cfg(test)]
mod tests {
    use super::{Batch, ColorChoice, TopArgs};
    use crate::present::{fields::FieldId, report::Format};
    use clap::{Args, Command, FromArgMatches};
    use std::{num::NonZeroU64, time::Duration};

    fn parse(typed: &str) -> Result<TopArgs, String> {
        let words = std::iter::once("top").chain(typed.split('|').filter(|word| !word.is_empty()));
        let matches = TopArgs::augment_args(Command::new("top")).try_get_matches_from(words);
        matches
            .and_then(|matches| TopArgs::from_arg_matches(&matches))
            .map_err(|error| error.to_string())
    }

    fn args(typed: &str) -> TopArgs {
        parse(typed).expect("the options are right")
    }

    #[test]
    fn the_command_is_well_formed_and_its_help_is_known() {
        let mut command = TopArgs::augment_args(Command::new("top").term_width(100));
        command.clone().debug_assert();
        insta::assert_snapshot!("help", command.render_help());
    }

    #[test]
    fn options_become_a_selection() {
        let rows = args("-p|1,2|--pid|3|--filter|rss>5MiB java|--sort|fds|--invert|--tree").rows();
        assert_eq!(rows.pids, [1, 2, 3].into());
        assert_eq!(rows.filter.text(), "rss>5MiB java");
        assert_eq!(
            (rows.sort.field, rows.sort.invert, rows.tree),
            (FieldId::Fds, true, true)
        );
        let rows = args("--sort|rss_anon_bytes").rows();
        assert_eq!(rows.sort.field, FieldId::Rss);
    }

    #[test]
    fn text_is_written_when_asked_for_or_without_a_terminal() {
        let batch = |typed: &str, terminal| args(typed).batch(terminal);
        assert_eq!(batch("", true), None);
        let table = Batch {
            iterations: None,
            format: Format::Table,
        };
        assert_eq!(batch("", false), Some(table));
        assert_eq!(batch("-b", true), Some(table));
        assert_eq!(
            batch("--once", true),
            Some(Batch {
                iterations: NonZeroU64::new(1),
                ..table
            })
        );
        assert_eq!(
            batch("-n|5", true),
            Some(Batch {
                iterations: NonZeroU64::new(5),
                ..table
            })
        );
        assert_eq!(
            batch("-o|jsonl", true),
            Some(Batch {
                format: Format::Jsonl,
                ..table
            })
        );
    }

    #[test]
    fn intervals_are_times_or_bare_seconds() {
        assert_eq!(args("").interval, Duration::from_secs(2));
        assert_eq!(args("-i|5").interval, Duration::from_secs(5));
        assert_eq!(args("-i|1m30s").interval, Duration::from_secs(90));
        for wrong in ["0", "50ms", "soon", "-1", "1.5"] {
            assert!(parse(&format!("--interval={wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn wrong_options_say_what_is_right() {
        let error = parse("--filter|speed>3").expect_err("there is no such field");
        assert!(
            error.contains("no field \"speed\"; fields are pid, user"),
            "{error}"
        );
        let error = parse("--sort|rsss").expect_err("there is no such field");
        assert!(error.contains("similar value exists: 'rss'"), "{error}");
        assert!(parse("--once|-n|3").is_err() && parse("-n|0").is_err() && parse("-p|x").is_err());
    }

    #[test]
    fn colour_and_signs_follow_flags_before_environment() {
        let theme = |typed: &str, color, environment: &[(&str, &str)]| {
            let get = |name: &str| {
                environment
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            let theme = args(typed).screen(color, get).theme;
            (theme.color, theme.ascii)
        };
        let utf8 = ("LANG", "en_US.UTF-8");
        assert_eq!(theme("", ColorChoice::Auto, &[utf8]), (true, false));
        assert_eq!(theme("--ascii", ColorChoice::Never, &[utf8]), (false, true));
        assert_eq!(
            theme("", ColorChoice::Auto, &[utf8, ("NO_COLOR", "1")]),
            (false, false)
        );
        assert_eq!(
            theme("", ColorChoice::Auto, &[utf8, ("NO_COLOR", "")]),
            (true, false)
        );
        assert_eq!(
            theme("", ColorChoice::Always, &[utf8, ("NO_COLOR", "1")]),
            (true, false)
        );
        assert_eq!(theme("", ColorChoice::Auto, &[("TERM", "dumb")]), (false, true));
        assert_eq!(
            theme("", ColorChoice::Auto, &[utf8, ("LC_ALL", "C")]),
            (true, true)
        );
    }
}
