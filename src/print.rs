//! Results go to stdout, and to nothing else.

use crate::error::Failure;
use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// Prints one result. A reader that has gone, as `head` does, is no failure.
pub(crate) fn print(result: &(impl Display + ?Sized)) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{result}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
