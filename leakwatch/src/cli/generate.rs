//! What packagers need: completion scripts and the manual page.

use std::io::{self, Write as _};

use clap_complete::Shell;

use super::Failure;

/// Completions for one shell.
#[derive(Clone, Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell to complete in
    pub shell: Shell,
}

/// Prints a completion script.
pub fn completions(args: &CompletionsArgs, command: &mut clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "leakwatch", &mut script);
    io::stdout()
        .write_all(&script)
        .map_err(|error| Failure::output(&error))
}

/// Prints the manual page, with one section per verb.
pub fn man(command: &clap::Command) -> Result<(), Failure> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    man.render(&mut page).map_err(|error| Failure::output(&error))?;
    for verb in command.get_subcommands() {
        writeln!(page, ".SH \"LEAKWATCH {}\"", verb.get_name().to_uppercase())
            .map_err(|error| Failure::output(&error))?;
        let man = clap_mangen::Man::new(verb.clone());
        man.render_description_section(&mut page)
            .map_err(|error| Failure::output(&error))?;
        man.render_options_section(&mut page)
            .map_err(|error| Failure::output(&error))?;
    }
    io::stdout()
        .write_all(&page)
        .map_err(|error| Failure::output(&error))
}
