//! `--attach`: the runtime is asked when observation begins and when it ends, in threads that may wait for it.

use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    attach::{Attachable, Attached, Refused},
    model::census::{Answers, Census},
};

/// A runtime that is being asked.
pub(super) struct Asking(JoinHandle<Result<Asked, Refused>>);

/// One that answered once.
struct Asked {
    acts: &'static str,
    attached: Attached,
    first: Census,
}

impl Asking {
    /// Asks for the first time, after it was said on standard error what the process is about to do.
    pub(super) fn begin(pid: u32) -> Self {
        Self(spawn_blocking(move || {
            let attachable = Attachable::of(pid)?;
            let acts = attachable.acts();
            eprintln!("--attach acts on process {pid}: it {acts}");
            let (attached, first) = attachable.attach()?;
            Ok(Asked {
                acts,
                attached,
                first,
            })
        }))
    }

    /// Asks once more; why there is no answer when there is none.
    pub(super) async fn end(self) -> Result<Answers, String> {
        let asked = self.0.await.map_err(|error| error.to_string())?;
        let ask_again = move |asked: Asked| {
            let Asked {
                acts,
                mut attached,
                first,
            } = asked;
            let last = attached.ask()?;
            let acts = acts.to_owned();
            Ok(Answers { acts, first, last })
        };
        let asked = asked.map_err(|refused| refused.to_string())?;
        let answers: Result<Answers, Refused> = spawn_blocking(move || ask_again(asked))
            .await
            .map_err(|error| error.to_string())?;
        answers.map_err(|refused| refused.to_string())
    }
}
