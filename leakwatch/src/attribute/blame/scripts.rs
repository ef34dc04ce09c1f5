//! Functions of scripts: what came with the interpreter is told by the file that it is in.

use super::Layer;

/// Modules of the frames of scripts.
const PYTHON: &str = "[python]";
const NODE: &str = "[node]";
const RUBY: &str = "[ruby]";
const PERL: &str = "[perl]";
/// PHP's and Lua's own functions are native code.
const WITHOUT_LIBRARY: &[&str] = &["[php]", "[lua]"];

/// Python code that is compiled into the interpreter.
const PYTHON_FROZEN: &str = "<frozen ";
/// Where the standard library of Python is: `/usr/lib/python3.11/`; and what in there is not of it.
const PYTHON_STANDARD: &str = "/lib/python";
const PYTHON_PACKAGES: &[&str] = &["/site-packages/", "/dist-packages/"];

/// How the files of Node's own functions begin. V8's own (`forEach`) are in none.
const NODE_FILE: &str = "node:";

/// Ruby code that is compiled into the interpreter (`<internal:kernel>`).
const RUBY_INTERNAL: &str = "<internal:";
/// Where the standard libraries of Ruby and Perl are: `/usr/lib/ruby/3.1.0/`, `/usr/share/perl/5.36/`. What was installed
/// beside them is in `vendor_ruby`, `gems`, `perl5`.
const RUBY_STANDARD: &str = "/ruby/";
const PERL_STANDARD: &str = "/perl/";
/// Bundler puts gems below a directory of the same name.
const RUBY_PACKAGES: &str = "/gems/";
/// What Debian's smallest perl comes with.
const PERL_BASE: &str = "/perl-base/";

/// Whose code a frame of a script is; `None` when the frame is of no script.
pub(super) fn layer(module: &str, file: Option<&str>) -> Option<Layer> {
    let name = file.unwrap_or_default();
    let is_own = match module {
        PYTHON => {
            let is_package = PYTHON_PACKAGES.iter().any(|packages| name.contains(packages));
            name.starts_with(PYTHON_FROZEN) || is_in_version(name, PYTHON_STANDARD) && !is_package
        }
        NODE => file.is_none() || name.starts_with(NODE_FILE),
        RUBY => {
            let is_package = name.contains(RUBY_PACKAGES);
            name.starts_with(RUBY_INTERNAL) || is_in_version(name, RUBY_STANDARD) && !is_package
        }
        PERL => name.contains(PERL_BASE) || is_in_version(name, PERL_STANDARD),
        _ if WITHOUT_LIBRARY.contains(&module) => false,
        _ => return None,
    };
    Some(if is_own { Layer::Runtime } else { Layer::Program })
}

/// Whether a file is in the directory that the library of one version has.
fn is_in_version(file: &str, standard: &str) -> bool {
    file.match_indices(standard).any(|(at, found)| {
        let version = file[at + found.len()..].split('/').next().unwrap_or_default();
        version.starts_with(|c: char| c.is_ascii_digit()) && version.contains('.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_come_with_ruby_and_perl() {
        for (module, file, expected) in [
            ("[ruby]", "/usr/lib/ruby/3.1.0/net/http.rb", Layer::Runtime),
            (
                "[ruby]",
                "/usr/lib/x86_64-linux-gnu/ruby/3.1.0/socket.rb",
                Layer::Runtime,
            ),
            ("[ruby]", "<internal:kernel>", Layer::Runtime),
            ("[ruby]", "/usr/lib/ruby/vendor_ruby/redis.rb", Layer::Program),
            (
                "[ruby]",
                "/var/lib/gems/3.1.0/gems/redis-5.0/lib/redis.rb",
                Layer::Program,
            ),
            (
                "[ruby]",
                "/opt/ruby/lib/ruby/gems/3.1.0/gems/redis-5.0/lib/redis.rb",
                Layer::Program,
            ),
            (
                "[ruby]",
                "/srv/vendor/bundle/ruby/3.1.0/gems/redis-5.0/lib/redis.rb",
                Layer::Program,
            ),
            ("[ruby]", "uploads.rb", Layer::Program),
            ("[perl]", "/usr/share/perl/5.36/IO/Socket.pm", Layer::Runtime),
            (
                "[perl]",
                "/usr/lib/x86_64-linux-gnu/perl-base/IO/File.pm",
                Layer::Runtime,
            ),
            ("[perl]", "/usr/share/perl5/LWP/UserAgent.pm", Layer::Program),
            ("[php]", "/srv/uploads.php", Layer::Program),
            ("[lua]", "uploads.lua", Layer::Program),
        ] {
            assert_eq!(layer(module, Some(file)), Some(expected), "{module} {file}");
        }
        assert_eq!(layer("/usr/bin/ruby3.1", None), None);
    }
}
