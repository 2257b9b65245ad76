//! A far end that is a program of its own (a browser's tabs, aiortc): it takes one JSON command a line and answers each with
//! `{"ok": …}` or `{"error": …}`. Ended when dropped, and when it
//! lives too long.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

pub struct Puppet {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Puppet {
    /// Starts the program that `set_up` adds to the command; it lives so many seconds at most.
    pub fn start(seconds: u32, set_up: impl FnOnce(&mut Command)) -> Puppet {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", &seconds.to_string()]);
        set_up(&mut command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Puppet { child, commands, answers }
    }

    pub fn tell(&mut self, command: &Value) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        let answer = self.answers.next().expect("it lives").unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["error"].is_null(), "{command}: {answer}");
        answer["ok"].clone()
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        // `timeout` passes the word on.
        // SAFETY: the pid is our own child's, which has not been waited for.
        unsafe { libc::kill(i32::try_from(self.child.id()).expect("a pid"), libc::SIGTERM) };
        let _ = self.child.wait();
    }
}
