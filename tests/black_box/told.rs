//! What the pages show is what is shown: the commands of a page are run, one after the other, and must print what stands
//! there. Times, ids and ports are another each time, and columns as wide as what is in them.
//!
//! With `EDUSYNC_WRITE_DOCS=1` a block that differs is written anew instead.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use graph_simulator::Settings;
use xtask::repository_root;

use crate::scene::Scene;
use crate::world::World;

/// How long a look is repeated until it shows what the page shows: numbers of a connection are told seconds later.
const SETTLING: Duration = Duration::from_secs(15);
/// Commands that change nothing, so that they can be repeated.
const LOOKS: [&str; 3] = ["kubectl get ", "kubectl describe ", "edusync status"];

/// A command of a page, and what it prints.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// Its lines in the page, that of the command left out; from, to.
    lines: (usize, usize),
    command: String,
    output: String,
}

/// The blocks that begin with `$`, indented by four.
fn blocks(page: &str) -> Vec<Block> {
    let lines: Vec<&str> = page.lines().collect();
    let mut blocks = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(command) = line.strip_prefix("    $ ") else {
            continue;
        };
        let is_part =
            |line: &&&str| line.is_empty() || (line.starts_with("    ") && !line.starts_with("    $ "));
        let mut output: Vec<&str> = lines[number + 1..].iter().take_while(is_part).copied().collect();
        while output.last().is_some_and(|line| line.is_empty()) {
            output.pop();
        }
        let text = output.iter().map(|line| line.strip_prefix("    ").unwrap_or_default());
        blocks.push(Block {
            lines: (number + 1, number + 1 + output.len()),
            command: command.to_owned(),
            output: text.collect::<Vec<_>>().join("\n"),
        });
    }
    blocks
}

/// What is the same each time.
fn lasting(output: &str) -> Vec<Vec<String>> {
    let word = |word: &str| {
        let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        let is_age = bare.starts_with(|first: char| first.is_ascii_digit())
            && bare.chars().all(|letter| letter.is_ascii_digit() || "dhms".contains(letter))
            && bare.ends_with(['d', 'h', 'm', 's']);
        match word.split_once("127.0.0.1:") {
            Some((before, _)) => format!("{before}127.0.0.1"),
            None if is_age => "AGE".to_owned(),
            None if bare.parse::<uuid::Uuid>().is_ok() => word.replace(bare, "ID"),
            None if bare.parse::<jiff::Timestamp>().is_ok() => word.replace(bare, "TIME"),
            None => word.to_owned(),
        }
    };
    output.trim_end().lines().map(|line| line.split_whitespace().map(word).collect()).collect()
}

/// Where a person is who follows the pages.
struct Desk {
    scene: Scene,
    folder: tempfile::TempDir,
    kubeconfig: PathBuf,
}

impl Desk {
    /// As `cargo xtask demo --keep` leaves it, and as the page prepares it: a namespace `school`, three profiles that are
    /// ready, and a folder with the examples.
    async fn set() -> Self {
        let world = World::alone().await;
        let mut scene = Scene::in_world(world, "school", Settings { port: 0, ..Settings::default() }).await;
        scene.start_operator();
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(repository_root().join("examples"), folder.path().join("examples"))
            .unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        fs::copy(scene.world.kubeconfig(), &kubeconfig).unwrap();
        let desk = Self { scene, folder, kubeconfig };
        desk.prepare(&format!("kubectl config set-context --current --namespace {}", desk.scene.namespace));
        for name in ["create-accounts", "match-accounts", "all-customizations"] {
            desk.prepare(&format!("kubectl apply -f examples/{name}.yaml"));
        }
        desk.prepare("kubectl wait --for=condition=Ready esp --all --timeout=60s");
        desk
    }

    /// A command that no page shows.
    #[track_caller]
    fn prepare(&self, command: &str) {
        let output = self.shell(command);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stdout));
    }

    /// What a shell prints.
    fn run(&self, command: &str) -> String {
        String::from_utf8(self.shell(command).stdout).unwrap()
    }

    fn shell(&self, command: &str) -> Output {
        let programs = Path::new(env!("CARGO_BIN_EXE_edusync")).parent().unwrap();
        let kubectl = self.scene.world.kubectl([] as [&str; 0]);
        let kubectl = Path::new(kubectl.get_program()).parent().unwrap();
        let path = format!("{}:{}:{}", programs.display(), kubectl.display(), std::env::var("PATH").unwrap());
        let host = self.scene.simulator.url().replace("https://", "");
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("set -o pipefail; {command} 2>&1")]).current_dir(self.folder.path());
        shell.env("KUBECONFIG", &self.kubeconfig).env("PATH", path).env("HOST", host);
        shell.output().unwrap()
    }

    /// Runs the block, and says what it should be instead, if it is not what is shown.
    fn differs(&self, block: &Block) -> Option<String> {
        let began = xtask::timing::Stopwatch::start();
        loop {
            let command = block.command.replace("-n school ", &format!("-n {} ", self.scene.namespace));
            let output = self.run(&command).replace(&self.scene.namespace, "school");
            if lasting(&output) == lasting(&block.output) {
                return None;
            }
            let plain = block.command.replace("-n school ", "");
            let is_look = LOOKS.iter().any(|look| plain.starts_with(look));
            if !is_look || began.elapsed() > SETTLING {
                return Some(output);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs the blocks of a page; `before` is run before the command that it names, as what the text asks for.
    fn follow(&self, page: &str, before: &[(&str, &dyn Fn())]) {
        let path = repository_root().join(page);
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut wrong = Vec::new();
        for block in blocks(&text) {
            if let Some((_, prepare)) = before.iter().find(|(command, _)| block.command.contains(command)) {
                prepare();
            }
            if let Some(output) = self.differs(&block) {
                wrong.push((block, output));
            }
        }
        if std::env::var_os("EDUSYNC_WRITE_DOCS").is_none() {
            let told = wrong
                .iter()
                .map(|(block, now)| format!("$ {}\n{now}instead of\n{}\n", block.command, block.output));
            let told: String = told.collect();
            assert!(
                told.is_empty(),
                "{page} shows what is not so; EDUSYNC_WRITE_DOCS=1 writes it anew:\n{told}"
            );
            return;
        }
        for (block, output) in wrong.iter().rev() {
            let now = output
                .trim_end()
                .lines()
                .map(|line| if line.is_empty() { String::new() } else { format!("    {line}") });
            lines.splice(block.lines.0..block.lines.1, now.collect::<Vec<_>>());
        }
        fs::write(path, lines.join("\n") + "\n").unwrap();
    }
}

/// The block of this page that is to be saved under this name.
fn manifest(page: &str) -> String {
    let text = fs::read_to_string(repository_root().join(page)).unwrap();
    text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_show_what_is_shown() {
    let desk = Desk::set().await;
    let first = desk.folder.path().join("first.yaml");
    tokio::task::spawn_blocking(move || {
        fs::write(first, manifest("docs/getting-started.md")).unwrap();
        desk.follow("docs/getting-started.md", &[]);
        desk.follow("docs/graphconnection.md", &[]);
        desk.follow("docs/educationsyncprofile.md", &[]);
        let upload = || {
            desk.prepare(
                "edusync upload examples/csv --profile create-accounts --allowed-host \"$HOST\" --wait",
            );
            desk.prepare("kubectl wait --for=condition=Synchronized esp/create-accounts --timeout=60s");
        };
        desk.follow("README.md", &[("get educationsyncprofile", &upload)]);
        let simulator = &desk.scene.simulator;
        let retire = || {
            simulator.clear_faults();
            simulator.fault("list:retired-404,times=always").unwrap();
        };
        let gone = || {
            desk.prepare("kubectl apply -f first.yaml");
            desk.prepare("kubectl wait --for=condition=Ready esp/first --timeout=60s");
            retire();
            desk.prepare("sed 's/name: first/name: new/; s/My first/A new/' first.yaml | kubectl apply -f -");
            desk.prepare("kubectl wait --for=condition=Stalled esp/new gc/default --timeout=60s");
        };
        let empty = || {
            simulator.clear_faults();
            simulator.fault("list:empty-list,times=always").unwrap();
        };
        desk.follow(
            "docs/upstream-gone.md",
            &[("get gc", &gone), ("get esp new", &empty), ("delete esp create-accounts", &retire)],
        );
    })
    .await
    .unwrap();
}

mod tests_of_the_test {
    use super::*;

    #[test]
    fn blocks_end_where_the_text_goes_on() {
        let page = "Text.\n\n    $ one\n    A  B\n\n    C\n\n    $ two\nText\n\n    no command\n";
        let expected = [((3, 6), "one", "A  B\n\nC"), ((8, 8), "two", "")];
        let found = blocks(page);
        let found: Vec<_> =
            found.iter().map(|block| (block.lines, block.command.as_str(), block.output.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn another_reason_is_seen_and_another_age_is_not() {
        let line = "a  https://127.0.0.1:1 True  3m20s (id 11111111-1111-1111-1111-111111111111).";
        let later = "a https://127.0.0.1:99 True 2h (id 21111111-1111-1111-1111-111111111111).";
        assert_eq!(lasting(line), lasting(later));
        assert_ne!(lasting(line), lasting(&later.replace("True", "False")));
        assert_ne!(lasting("3 profiles"), lasting("4 profiles"));
    }
}
