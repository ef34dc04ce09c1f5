//! Who is told when something begins to leak: what was typed.

use crate::{
    hook::{Hook, HookOptions, Webhook},
    model::finding::Verdict,
};

/// Whom to tell of a change.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Hooks")]
pub struct HookArgs {
    /// Run this with `sh -c` when something begins to leak, with the finding as JSON on its standard input. It is killed
    /// after 30 s; the same is told once in six hours unless it becomes worse
    #[arg(long, value_name = "COMMAND", env = "LEAKWATCH_ON_LEAK")]
    pub on_leak: Option<String>,

    /// Post the same JSON to this URL. Redirects are not followed
    #[arg(long, value_name = "URL", env = "LEAKWATCH_WEBHOOK", hide_env_values = true)]
    pub webhook: Option<Webhook>,

    /// Verdicts that are told of
    #[arg(
        long,
        value_name = "VERDICT",
        value_delimiter = ',',
        default_value = "leaking",
        env = "LEAKWATCH_NOTIFY_ON"
    )]
    pub notify_on: Vec<Told>,
}

/// A verdict that somebody may want to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Told {
    /// More likely a leak than not
    Suspected,
    /// A leak, at a confidence of 0.9 and more
    Leaking,
    /// It was one of those, and stopped growing or was given back
    Recovered,
}

impl From<Told> for Verdict {
    fn from(told: Told) -> Self {
        match told {
            Told::Suspected => Self::Suspected,
            Told::Leaking => Self::Leaking,
            Told::Recovered => Self::Recovered,
        }
    }
}

impl HookArgs {
    /// Somebody to tell, if there is anybody.
    pub(super) fn hook(&self) -> Option<Hook> {
        if self.on_leak.is_none() && self.webhook.is_none() {
            return None;
        }
        Some(Hook::new(HookOptions {
            command: self.on_leak.clone(),
            webhook: self.webhook.clone(),
            verdicts: self.notify_on.iter().copied().map(Verdict::from).collect(),
        }))
    }
}
