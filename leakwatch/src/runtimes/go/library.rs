//! Whose a function is: the runtime's, the standard library's, or somebody's who may have written a leak.

use crate::{model::stack::Function, symbols::gopclntab::GoTable};

/// A file that is in every program.
const LANDMARK: &str = "runtime/proc.go";

/// Whose a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// The runtime: the program did not call it, or called it by a statement.
    Runtime,
    /// The standard library.
    Library,
    /// The program, or a module that it uses.
    Program,
}

/// Which files are the standard library's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Library {
    /// Directory of its sources; empty in a program that was built with `-trimpath`.
    root: String,
    /// Path of the program's own module, with a slash at its end.
    module: String,
}

impl Library {
    pub(super) fn of(table: &GoTable, module: &str) -> Self {
        let landmark = table.file_that_ends(LANDMARK).unwrap_or_default();
        Self::new(landmark, module)
    }

    fn new(landmark: &str, module: &str) -> Self {
        Self {
            root: landmark.strip_suffix(LANDMARK).unwrap_or_default().to_owned(),
            module: format!("{module}/"),
        }
    }

    /// Whose a function is.
    pub(super) fn owner(&self, function: &Function) -> Owner {
        let is_in = |package: &str| function.name.starts_with(package);
        if ["runtime.", "runtime/internal/", "internal/runtime/"]
            .into_iter()
            .any(is_in)
        {
            return Owner::Runtime;
        }
        let is_library = function.file.as_deref().is_some_and(|file| self.has(file));
        if is_library && !is_in("main.") {
            Owner::Library
        } else {
            Owner::Program
        }
    }

    fn has(&self, file: &str) -> bool {
        if !self.root.is_empty() {
            return file.starts_with(&self.root);
        }
        // A path of a module: only those of the standard library, and some that are never published, begin without a dot.
        let first = file.split('/').next().unwrap_or_default();
        file.contains('/') && !first.contains('.') && !file.starts_with(&self.module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(library: &Library, name: &str, file: &str) -> Owner {
        library.owner(&Function {
            name: name.to_owned(),
            file: Some(file.to_owned()),
            line: None,
        })
    }

    #[test]
    fn by_where_its_source_was() {
        let library = Library::new("/usr/lib/go-1.19/src/runtime/proc.go", "shop");
        let of = |name, file| owner(&library, name, file);
        assert_eq!(
            of("runtime.chanrecv", "/usr/lib/go-1.19/src/runtime/chan.go"),
            Owner::Runtime
        );
        assert_eq!(
            of("net/http.Get", "/usr/lib/go-1.19/src/net/http/client.go"),
            Owner::Library
        );
        assert_eq!(of("shop/cart.Add", "/home/u/shop/cart/cart.go"), Owner::Program);
        assert_eq!(
            of("main.main", "/usr/lib/go-1.19/src/cmd/go/main.go"),
            Owner::Program
        );
    }

    #[test]
    fn by_paths_that_were_trimmed() {
        let library = Library::new("runtime/proc.go", "shop");
        let of = |name, file| owner(&library, name, file);
        assert_eq!(of("net/http.Get", "net/http/client.go"), Owner::Library);
        assert_eq!(of("shop/cart.Add", "shop/cart/cart.go"), Owner::Program);
        assert_eq!(of("example.com/x.F", "example.com/x@v1.2.3/f.go"), Owner::Program);
        assert_eq!(of("main.main", "./main.go"), Owner::Program);
    }
}
