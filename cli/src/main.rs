//! The command line of tidegate: loads timestamp windows of Kafka topics into MaxCompute tables.
//!
//! `args` is what was typed, `config` what it comes to; each verb is a file in `commands`, which asks the engine and
//! hands the answer to `render`. Only `output` writes, and only `environment` looks at the process's surroundings.

mod allocator;
mod args;
mod commands;
mod config;
mod environment;
mod failure;
mod output;
mod progress;
mod render;
mod signals;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::set_up();
    commands::main(std::env::args_os()).into()
}
