//! The commands of a page of the documentation, run as they stand there.

use std::collections::BTreeMap;
use std::process::Command;

use crate::scene::Scene;

/// A page, and what its examples stand for.
pub struct Page {
    text: String,
    stand_ins: BTreeMap<&'static str, String>,
}

impl Page {
    /// The page of this name in `docs/`.
    pub fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(xtask::repository_root().join("docs").join(name)).unwrap();
        Self { text, stand_ins: BTreeMap::new() }
    }

    /// `word` in a command stands for this.
    pub fn with(mut self, word: &'static str, stands_for: &str) -> Self {
        self.stand_ins.insert(word, stands_for.to_owned());
        self
    }

    /// The text below a heading of the second or third level, to the next heading of its level or above.
    fn section(&self, heading: &str) -> &str {
        let below = |start: &str, end: &str| {
            let (_, rest) = self.text.split_once(&format!("{start}{heading}\n"))?;
            rest.split(end).next()
        };
        let found = below("\n## ", "\n## ").or_else(|| below("\n### ", "\n##"));
        found.unwrap_or_else(|| panic!("no section {heading}"))
    }

    /// The commands of a section, in order, with what the examples stand for.
    pub fn commands(&self, heading: &str) -> Vec<String> {
        // A command may go on in the next line.
        let section = self.section(heading).replace("\\\n", "");
        let commands = section.lines().map(str::trim).filter(|line| line.starts_with("kubectl "));
        commands
            .map(|command| {
                let replace = |command: String, (word, with): (&&str, &String)| command.replace(*word, with);
                self.stand_ins.iter().fold(command.to_owned(), replace)
            })
            .collect()
    }

    /// Runs one of the commands of a section in a shell, as a person with all rights; what it printed.
    pub fn run(&self, scene: &Scene, heading: &str, number: usize) -> String {
        let command = self.commands(heading).swap_remove(number);
        let kubectl = scene.world.kubectl([]);
        let mut shell = Command::new("sh");
        for (name, value) in kubectl.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let words: Vec<_> = std::iter::once(kubectl.get_program()).chain(kubectl.get_args()).collect();
        let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap()).collect();
        let script = format!("kubectl() {{ '{}' \"$@\"; }}; {command}", words.join("' '"));
        let output = shell.args(["-c", &script]).current_dir(scene.world.folder()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{command}\n{text}{}\n{}",
            String::from_utf8_lossy(&output.stderr),
            scene.operator_log()
        );
        text
    }
}
