//! At a terminal: colours, and a bar for each file. Anywhere else, and for who asks for none: plain lines.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::cli_upload::{files, provisioned};
use crate::scene::Scene;

const ESCAPE: char = '\u{1b}';

/// Where a command prints to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Terminal,
    Pipe,
}

/// What was printed, and the exit code.
struct Printed {
    terminal: String,
    pipe: String,
    code: i32,
}

/// Runs `edusync` at a terminal of its own, with these two streams.
fn at_terminal(arguments: &[&str], (out, err): (To, To), environment: &[(&str, &str)]) -> Printed {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let path = ptsname(&ours, Vec::new()).unwrap();
    let theirs = OpenOptions::new().read(true).write(true).open(path.to_str().unwrap()).unwrap();
    tcsetwinsize(&theirs, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let stream = |to| if to == To::Terminal { theirs.try_clone().unwrap().into() } else { Stdio::piped() };
    let mut command = Command::new(env!("CARGO_BIN_EXE_edusync"));
    command.args(arguments).env_remove("NO_COLOR").env("TERM", "xterm-256color");
    command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(stream(out)).stderr(stream(err));
    let mut child = command.spawn().unwrap();
    // The terminal ends when nobody has it any more.
    drop((command, theirs));
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // Linux tells the end of a terminal by an error.
        let _ = File::from(ours).read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap()
    });
    let mut pipe = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut pipe).unwrap();
    }
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut pipe).unwrap();
    }
    let code = child.wait().unwrap().code().unwrap();
    Printed { terminal: reader.join().unwrap(), pipe, code }
}

fn status(scene: &Scene, out: To, environment: &[(&str, &str)]) -> Printed {
    let kubeconfig = scene.world.kubeconfig().to_str().unwrap();
    let arguments = ["status", "--namespace", &scene.namespace, "--kubeconfig", kubeconfig];
    at_terminal(&arguments, (out, To::Terminal), environment)
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_and_bars_are_for_terminals() {
    let scene = provisioned("terminal").await;
    let coloured = status(&scene, To::Terminal, &[]);
    assert_eq!(coloured.code, 0, "{}", coloured.terminal);
    assert!(coloured.terminal.contains("\u{1b}[32mProvisioned\u{1b}[0m"), "{}", coloured.terminal);
    let plain = [
        status(&scene, To::Terminal, &[("NO_COLOR", "1")]).terminal,
        status(&scene, To::Terminal, &[("TERM", "dumb")]).terminal,
        status(&scene, To::Pipe, &[]).pipe,
    ];
    for plain in &plain {
        assert!(plain.contains("Provisioned") && !plain.contains(ESCAPE), "{plain}");
    }
    let empty = status(&scene, To::Terminal, &[("NO_COLOR", "")]).terminal;
    assert_eq!(empty, coloured.terminal, "an empty NO_COLOR asks for nothing");

    let folder = files();
    let kubeconfig = scene.world.kubeconfig().to_str().unwrap();
    let upload = |streams| {
        let folder = folder.path().to_str().unwrap();
        let arguments = [
            "upload",
            folder,
            "--profile",
            "contoso",
            "--namespace",
            &scene.namespace,
            "--kubeconfig",
            kubeconfig,
            "--allowed-host",
            "127.0.0.1",
        ];
        let printed = at_terminal(&arguments, streams, &[]);
        assert_eq!(printed.code, 0, "{}{}", printed.terminal, printed.pipe);
        printed
    };
    let bars = upload((To::Pipe, To::Terminal));
    assert!(
        bars.terminal.contains("student.csv           [=============================="),
        "{}",
        bars.terminal
    );
    assert!(!bars.terminal.contains("is uploaded"), "said once: {}", bars.terminal);
    assert!(bars.pipe.contains("student.csv (2 rows)") && !bars.pipe.contains(ESCAPE), "{}", bars.pipe);
    let lines = upload((To::Terminal, To::Pipe));
    assert!(lines.pipe.contains("student.csv is uploaded") && !lines.pipe.contains(ESCAPE), "{}", lines.pipe);
    assert!(!lines.pipe.contains("[==="), "{}", lines.pipe);
}

#[test]
fn a_log_for_people_has_colours_at_a_terminal_alone() {
    let log = |to, environment: &[(&str, &str)]| {
        let arguments =
            ["run", "--log-format", "text", "--health-address", "127.0.0.1:0", "--metrics-address", "off"];
        let nowhere = [("KUBECONFIG", "/nowhere")];
        let printed = at_terminal(&arguments, (To::Pipe, to), &[&nowhere, environment].concat());
        assert_eq!(printed.code, 1);
        let all = format!("{}{}", printed.terminal, printed.pipe);
        assert!(all.contains("starting") && all.contains("no way to Kubernetes"), "{all}");
        all
    };
    assert!(log(To::Terminal, &[]).contains(ESCAPE));
    assert!(!log(To::Terminal, &[("NO_COLOR", "1")]).contains(ESCAPE));
    assert!(!log(To::Pipe, &[]).contains(ESCAPE));
}
