//! The command on a terminal: Python has pseudo-terminals in its library.

use std::process::Command;

/// Argument 1: what has to be seen before which keys are sent, `text=keys` a line. Then the command.
const TERMINAL: &str = r#"
import os, pty, select, struct, fcntl, sys, termios, time
keys = [line.rsplit("=", 1) for line in sys.argv[1].split("\n")]
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[2], sys.argv[2:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
seen, sent, deadline = b"", 0, time.time() + 60
while time.time() < deadline:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    if sent < len(keys) and keys[sent][0].encode() in seen:
        os.write(fd, keys[sent][1].encode())
        sent += 1
else:
    os.kill(pid, 9)
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(status) if sent == len(keys) else 99)
"#;

/// Runs the command until it ends and presses keys; each waits until its text was drawn. What was drawn: the screen was
/// entered and left again, and the command ended well.
#[track_caller]
pub fn drawn(keys: &[(&str, &str)], words: &[&str]) -> String {
    let keys: Vec<String> = keys.iter().map(|(text, keys)| format!("{text}={keys}")).collect();
    let output = Command::new("python3")
        .args(["-c", TERMINAL, &keys.join("\n"), env!("CARGO_BIN_EXE_tickscope")])
        .args(words)
        .output()
        .expect("python3 starts");
    let drawn = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{drawn}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(drawn.contains("\x1b[?1049h") && drawn.contains("\x1b[?1049l"), "{drawn}");
    drawn
}
