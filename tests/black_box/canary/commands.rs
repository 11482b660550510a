//! Every command of the command line, with its normal run and its failures. Which commands and forms of output there
//! are is asked of the command line itself: a new one without a run here fails the test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use edusync::cli::Cli;
use http::Method;
use serde_json::{Value, json};

use super::foreign::{At, Foreign, Form};
use super::stage::{CELL, MISPLACED, NEXT_SOURCE_SECRET, PROXY_PASSWORD, Stage, environment, sources};
use crate::cli::{Run, finish};
use crate::scene::{foreign_body, profile_manifest, spec};

/// What commands have printed.
pub struct Runs<'a> {
    stage: &'a Stage,
    kubeconfig: PathBuf,
    /// Where commands run: nothing may be written there.
    pub home: tempfile::TempDir,
    /// Place and text of everything printed.
    pub printed: Vec<(String, String)>,
    /// Commands with the forms of output that were asked for, and whether they came to a good end.
    made: BTreeSet<(String, Option<String>, bool)>,
}

impl<'a> Runs<'a> {
    pub fn new(stage: &'a Stage) -> Self {
        let scene = &stage.scene;
        let kubeconfig = stage.folder.path().join("kubeconfig");
        scene.detour.as_ref().unwrap().lead(scene.world.kubeconfig(), &kubeconfig);
        Self {
            stage,
            kubeconfig,
            home: tempfile::tempdir().unwrap(),
            printed: Vec::new(),
            made: BTreeSet::new(),
        }
    }

    /// Runs a command in the namespace of the scene; the exit code is what is expected.
    async fn run(&mut self, code: i32, line: &str) -> String {
        self.run_with(code, line, "", &[]).await
    }

    async fn run_with(&mut self, code: i32, line: &str, input: &str, more: &[(&str, &str)]) -> String {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let command = words[0];
        let mut arguments = words.clone();
        if !["crd", "completion"].contains(&command) && !words.contains(&"-A") {
            arguments.extend(["--namespace", &self.stage.scene.namespace]);
        }
        let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_edusync"));
        program
            .args(&arguments)
            .current_dir(self.home.path())
            .envs([("HOME", self.home.path()), ("TMPDIR", self.home.path())])
            .env("KUBECONFIG", &self.kubeconfig)
            .envs([("EDUSYNC_LOG", "trace"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")])
            .envs(environment(self.stage.proxy))
            .envs(more.iter().copied());
        let Run { code: ended, out, err } = finish(&mut program, input).await;
        assert_eq!(ended, code, "{line}\n{out}\n{err}");
        let form = words.iter().position(|word| *word == "-o").map(|place| words[place + 1].to_owned());
        self.made.insert((command.to_owned(), form, code != 1));
        let what = if words.contains(&"--show-texts") {
            format!("{command} --show-texts")
        } else {
            command.to_owned()
        };
        self.printed.push((format!("stdout of {what} ({line})"), out.clone()));
        self.printed.push((format!("stderr of {what} ({line})"), err));
        out
    }

    /// All of them. The operator must not run: it would answer for what is said once.
    pub async fn all(&mut self) {
        self.looking().await;
        self.planning().await;
        self.uploading().await;
        self.signing_in().await;
        self.on_wrong_ways().await;
        self.run(0, "crd").await;
        self.run(1, "crd --output-dir /dev/null").await;
        self.run(0, "completion bash").await;
        self.run(2, "completion canary").await;
        self.run(1, "release nobody --yes").await;
        self.run(0, "release --all --yes").await;
    }

    async fn looking(&mut self) {
        for form in ["table", "json", "yaml"] {
            self.run(2, &format!("status -o {form}")).await;
            self.run(2, &format!("orphans -o {form}")).await;
        }
        self.run(2, "status -A").await;
        self.run(2, "held -A").await;
        for form in ["table", "json", "csv"] {
            assert!(self.run(0, &format!("errors --profile contoso -o {form}")).await.contains("Anna"));
        }
        for form in ["yaml", "json"] {
            assert!(self.run(0, &format!("import -o {form}")).await.contains("Made by hand"));
        }
        let all = Foreign::all();
        for foreign in all.iter().filter(|foreign| !foreign.is_of_create()) {
            let name = foreign.name();
            self.run(1, &format!("orphans --connection {name}")).await;
            // What they say of it has one place in the code.
            if foreign.form == Form::Error {
                self.run(1, &format!("import --connection {name}")).await;
                let body = foreign_body("Nobody's").to_string();
                self.run_with(1, &format!("plan -f - --connection {name}"), &body, &[]).await;
            }
        }
        for form in [Form::Error, Form::Redirect] {
            self.stage.spy.answer_once(Method::GET, "/errors", Foreign { at: At::List, form });
            self.run(1, "errors --profile contoso").await;
        }
        for name in [
            "swapped",
            "broken-key",
            "not-utf8",
            "malformed",
            "key-as-ca",
            "broken-key-as-ca",
            "misplaced",
            "untrusted",
            "workload",
        ] {
            // A key before certificates is passed over.
            let code = if name == "key-as-ca" { 2 } else { 1 };
            self.run(code, &format!("orphans --connection {name}")).await;
        }
    }

    async fn planning(&mut self) {
        let mut manifests = Vec::new();
        for (name, provider) in sources("source", "clientSecret") {
            let mut spec = spec(&format!("Other {name}"));
            spec["dataProvider"] = provider;
            manifests.push(profile_manifest(&format!("other-{name}"), spec));
        }
        let list = json!({"kind": "List", "items": manifests}).to_string();
        for form in ["table", "json", "yaml"] {
            self.run_with(2, &format!("plan -f - -o {form}"), &list, &[]).await;
        }
        // As somebody wrote it who did not know of Secrets: in each field, and of each type.
        for wrong in [
            json!({"clientSecretRef": NEXT_SOURCE_SECRET}),
            json!({"clientSecretRef": [NEXT_SOURCE_SECRET]}),
            json!({"clientSecretRef": {"name": "a", "key": {"a": NEXT_SOURCE_SECRET}}}),
            json!({"clientSecretRef": {"name": NEXT_SOURCE_SECRET}}),
            json!({"clientId": {"secret": NEXT_SOURCE_SECRET}}),
            json!({"allowTeachersInMultipleSchools": NEXT_SOURCE_SECRET}),
            json!({"customizations": NEXT_SOURCE_SECRET}),
            json!({"schoolsIds": NEXT_SOURCE_SECRET}),
        ] {
            let mut manifest = manifests[0].clone();
            let provider = &mut manifest["spec"]["dataProvider"]["powerSchool"];
            for (name, value) in wrong.as_object().unwrap() {
                provider[name] = value.clone();
            }
            self.run_with(1, "plan -f -", &manifest.to_string(), &[]).await;
        }
        for field in
            ["synchronization", "deletionPolicy", "managementPolicy", "adopt", "connectionRef", "triggers"]
        {
            let mut manifest = manifests[0].clone();
            manifest["spec"][field] = json!(NEXT_SOURCE_SECRET);
            self.run_with(1, "plan -f -", &manifest.to_string(), &[]).await;
        }
        let secret = format!("kind: Secret\nstringData:\n  token: {MISPLACED}\n");
        for broken in
            ["  other: [a\n", "  other: {a\n", " token: a\n", "\ttoken: a\n", "  other: *a\n", "- a\n"]
        {
            self.run_with(1, "plan -f -", &format!("{secret}{broken}"), &[]).await;
        }
        let mut body = foreign_body("Fabrikam");
        body["dataProvider"] = json!({"@odata.type": "#microsoft.graph.educationPowerSchoolDataProvider",
            "connectionUrl": "https://sis.example", "clientId": "c", "clientSecret": NEXT_SOURCE_SECRET});
        self.run_with(2, "plan -f - -o json", &body.to_string(), &[]).await;
    }

    async fn uploading(&mut self) {
        let good = self.files("good", &cells());
        for more in ["-o table", "-o json --wait --interval 100ms", "-o yaml --show-texts"] {
            let printed = self.run(0, &format!("upload {good} --profile contoso {more}")).await;
            assert_eq!(printed.contains("Anna"), more.contains("--show-texts"), "{printed}");
        }
        let mut wrong = cells();
        wrong[2].1 = format!(
            "SIS ID,School SIS ID,Username,Canary {CELL}\n{CELL}-1,{CELL}-2,{CELL},{CELL}\n{CELL}-1,x\n{CELL},\"{CELL}\n{CELL}\",{CELL}\n,,\n"
        );
        wrong[1].1.push_str(&"#,#,#,#/1,#\n".replace('#', CELL));
        let bad = self.files("bad", &wrong);
        for form in ["table", "json", "yaml"] {
            self.run(2, &format!("upload {bad} --check-only -o {form}")).await;
        }
        for form in [Form::Error, Form::Headers] {
            // Who is told that the token is not good goes on with another one.
            let is_overcome = [
                (Method::GET, "/uploadUrl", form == Form::Headers),
                (Method::PUT, "/student.csv", false),
                (Method::POST, "/start", form == Form::Headers),
            ];
            for (method, end, is_overcome) in is_overcome {
                self.stage.spy.answer_once(method, end, Foreign { at: At::List, form });
                self.run(i32::from(!is_overcome), &format!("upload {good} --profile contoso")).await;
            }
        }
    }

    fn files(&self, name: &str, files: &[(&str, String)]) -> String {
        let folder = self.stage.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        for (file, text) in files {
            std::fs::write(folder.join(file), text).unwrap();
        }
        folder.to_str().unwrap().to_owned()
    }

    async fn signing_in(&mut self) {
        // What the webhook said to the first one who wrote the Secret is repeated by nobody.
        self.run(1, "login --connection signed-in").await;
        self.run(0, "login --connection signed-in").await;
        for foreign in Foreign::all().into_iter().filter(|foreign| foreign.is_of_entra()) {
            self.run(1, &format!("login --connection {}", foreign.name())).await;
        }
        self.run(2, "orphans --connection signed-in").await;
    }

    /// Ways to Kubernetes and to Microsoft that lead nowhere, with what is secret in them.
    async fn on_wrong_ways(&mut self) {
        let whole = std::fs::read_to_string(&self.kubeconfig).unwrap();
        let token = serde_json::from_str::<Value>(&whole).unwrap()["users"][0]["user"]["token"].clone();
        let yaml = format!("users:\n- name: a\n  user:\n    token: {}\n", token.as_str().unwrap());
        let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": "sh",
            "args": ["-c", format!("echo {token}; echo {token} >&2; exit 1")]});
        let mut with_exec: Value = serde_json::from_str(&whole).unwrap();
        with_exec["users"][0]["user"] = json!({ "exec": exec });
        let broken = [
            format!("{yaml}  other: [a\n"),
            format!("{yaml}    other: {{\n"),
            format!("{yaml}\tother: a\n"),
            whole.replace(&format!("{{\"token\":{token}}}"), &token.to_string()),
            whole.replace("\"users\":[", &format!("\"users\":[{token},")),
            with_exec.to_string(),
        ];
        for (number, text) in broken.iter().enumerate() {
            assert_ne!(*text, whole, "{number}");
            let file = self.stage.folder.path().join(format!("broken-{number}"));
            std::fs::write(&file, text).unwrap();
            if number % 2 == 0 {
                self.run(1, &format!("status --kubeconfig {}", file.display())).await;
            } else {
                self.run_with(1, "status", "", &[("KUBECONFIG", file.to_str().unwrap())]).await;
            }
            if number == 0 {
                let line = "run --log-level trace --health-address 127.0.0.1:0 --metrics-address off";
                self.run_with(1, line, "", &[("KUBECONFIG", file.to_str().unwrap())]).await;
            }
        }
        for way in [
            "http://a:PASSWORD@127.0.0.1:1",
            "ftp://a:PASSWORD@127.0.0.1:1",
            "http://a:PASSWORD@[nowhere",
            "PASSWORD@:",
        ] {
            let way = way.replace("PASSWORD", PROXY_PASSWORD);
            let no_proxy = ("NO_PROXY", "");
            for line in ["status", "held"] {
                self.run_with(1, line, "", &[("HTTPS_PROXY", &way), no_proxy]).await;
            }
            let line = "run --log-level trace --health-address 127.0.0.1:0 --metrics-address off --lease-name canary";
            if !way.starts_with("http:") || way.contains("nowhere") {
                self.run_with(1, line, "", &[("HTTPS_PROXY", &way), no_proxy]).await;
            }
        }
        let through =
            || self.stage.spy.tape(|tape| tape.iter().filter(|asked| asked.is_to_this_machine()).count());
        assert_eq!(through(), 0, "NO_PROXY has Kubernetes' address");
        self.run_with(2, "status", "", &[("NO_PROXY", "")]).await;
        // How many connections it takes depends on how quickly the first one is free again.
        assert!(through() > 0, "without NO_PROXY it goes through the proxy");
        // Kubernetes is reached, and Microsoft is not.
        for way in ["http://a:PASSWORD@127.0.0.1:1", "http://PASSWORD.nowhere.invalid:1"] {
            let way = way.replace("PASSWORD", PROXY_PASSWORD);
            self.run_with(1, "orphans", "", &[("HTTPS_PROXY", &way), ("NO_PROXY", "127.0.0.1,invalid")])
                .await;
        }
        let address = self.stage.proxy.to_string();
        self.run_with(1, "orphans", "", &[("HTTPS_PROXY", &format!("http://{address}"))]).await;
    }

    /// What the command line has and nobody has run: commands that came to a good end, or to none, and forms.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let ended = |well: bool| self.made.iter().any(|(made, _, ended)| made == name && *ended == well);
            // The operator is not run here but in the scene, to a good end.
            if !ended(true) && name != "run" {
                missing.push(format!("{name} that succeeds"));
            }
            if !ended(false) && name != "completion" {
                missing.push(format!("{name} that fails"));
            }
            let forms = command.get_arguments().find(|argument| argument.get_id() == "output");
            for form in forms.into_iter().flat_map(clap::Arg::get_possible_values) {
                let form = form.get_name();
                if !self.made.iter().any(|(made, had, _)| made == name && had.as_deref() == Some(form)) {
                    missing.push(format!("{name} -o {form}"));
                }
            }
        }
        missing
    }

    /// How many commands were run.
    pub fn count(&self) -> usize {
        self.printed.len() / 2
    }
}

/// Files whose every cell is a marker.
fn cells() -> Vec<(&'static str, String)> {
    let rows = |name, text: &str| (name, text.replace('#', CELL));
    vec![
        rows("School.csv", "SIS ID,Name\n#-1,#\n"),
        rows("Section.csv", "SIS ID,School SIS ID,Section Name\n#-7,#-1,#\n"),
        rows("Student.csv", "SIS ID,School SIS ID,Username\n#-100,#-1,#-anna\n"),
        rows("Teacher.csv", "SIS ID,School SIS ID,Username\n#-200,#-1,#-bert\n"),
        rows("StudentEnrollment.csv", "Section SIS ID,SIS ID\n#-7,#-100\n"),
        rows("TeacherRoster.csv", "Section SIS ID,SIS ID\n#-7,#-200\n"),
    ]
}

/// What is in a folder, however deep.
pub fn inside(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
