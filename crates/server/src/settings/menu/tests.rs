use super::*;
use crate::Settings;
use crate::config_file::{Mistakes, Sources};

fn settings(text: &str) -> Result<Settings, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    let prompts = folder.path().join("data/prompts");
    std::fs::create_dir_all(&prompts).unwrap();
    std::fs::write(prompts.join("text.wav"), "no sound at all").unwrap();
    let mut sound = Vec::new();
    let mut recorder =
        offhook_media::recorder::Recorder::new(std::io::Cursor::new(&mut sound), 8000).unwrap();
    recorder.write(&[1000; 8000]).unwrap();
    recorder.finish().unwrap();
    std::fs::write(prompts.join("welcome.wav"), sound).unwrap();
    let data = format!("data_dir = {:?}\n", folder.path().join("data"));
    std::fs::write(&file, data + text).unwrap();
    Settings::read(&Sources { file: Some(file), ..Sources::default() })
}

const FULL: &str = r##"
[[menu]]
name = "main"
number = ["500", "+49301234567"]
prompts = ["welcome.wav", "menu-welcome", "digits:1001", "number:42", "time", "date", "pause:500"]
timeout = "4s"
digit_timeout = "1s"
retries = 1
extensions = true
when = ["Mon-Fri 08:00-18:00"]
closed = { menu = "night" }
otherwise = { call = "1001" }
[menu.digits]
1 = { call = "600" }
22 = { menu = "night" }
3 = { voicemail = "1002" }
"*" = { repeat = true }
"#" = { hangup = true }
4 = { directory = true }
5 = { say = ["welcome.wav"] }
[[menu]]
name = "night"
prompts = ["menu-closed"]
"##;

#[test]
fn a_menu_is_what_is_written_and_the_usual_where_nothing_is() {
    let settings = settings(FULL).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let [main, night] = &settings.services.menus.menus[..] else { panic!() };
    assert_eq!(settings.services.menus.shown.as_deref(), Some("500, +49301234567"));
    assert_eq!(main.prompts[0], Prompt::File("welcome.wav".into()));
    assert_eq!(main.prompts[1..3], [Prompt::Phrase("menu-welcome".into()), Prompt::Digits("1001".into())]);
    assert_eq!(main.prompts[3..], [Prompt::Number(42), Prompt::Time, Prompt::Date, Prompt::Pause(500)]);
    assert_eq!((main.timeout.as_secs(), main.digit_timeout.as_secs(), main.retries), (4, 1, 1));
    assert_eq!((main.open.len(), &main.closed), (1, &Some(Action::Menu(1))));
    assert_eq!(main.otherwise, Action::Call("1001".into()));
    let keys: Vec<_> = main.keys.iter().map(|(keys, action)| (keys.as_str(), action.clone())).collect();
    assert_eq!(
        keys,
        [
            ("#", Action::HangUp),
            ("*", Action::Repeat),
            ("1", Action::Call("600".into())),
            ("22", Action::Menu(1)),
            ("3", Action::Voicemail("1002".into())),
            ("4", Action::Directory),
            ("5", Action::Say(vec![Prompt::File("welcome.wav".into())])),
        ]
    );
    assert_eq!((night.timeout.as_secs(), night.retries, &night.otherwise), (5, 3, &Action::HangUp));
    assert_eq!(night.invalid, [Prompt::Phrase("menu-invalid".into())]);
}

#[test]
fn a_menu_is_open_at_the_times_of_a_schedule_too() {
    let schedule = "[[schedule]]\nname = \"office\"\nopen = \"mon-fri\"\n";
    let menu = |when: &str| {
        format!(
            "{schedule}[[menu]]\nname = \"m\"\nprompts = \"time\"\nwhen = {when}\nclosed = {{ hangup = true }}\n"
        )
    };
    let read =
        settings(&menu("[\"office\", \"Sat 08:00-12:00\"]")).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let [Opening::Schedule(office), Opening::Hours(_)] = &read.services.menus.menus[0].open[..] else {
        panic!()
    };
    assert_eq!(office.name, "office");
    let mistakes = settings(&menu("\"ofice\"")).unwrap_err().to_string();
    assert!(mistakes.contains("\"ofice\" is no [[schedule]], and a time is written"), "{mistakes}");
    assert!(
        mistakes.contains("did you mean \"office\"?") && mistakes.contains("offhook.toml:8:"),
        "{mistakes}"
    );
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = r#"
[[menu]]
name = "main"
number = ["*43", "3001", "5 0"]
prompts = ["nothing.wav", "text.wav", "../welcome.wav", "menu-welcom", "number:many"]
when = ["always"]
otherwise = { call = "1 2", menu = "main" }
[menu.digits]
1 = { menu = "nigth" }
x = { call = "600" }
2 = { cal = "600" }
3 = { hangup = "now" }
4 = { voicemail = "" }
[[menu]]
name = "main"
number = "500"
prompts = ["menu-closed"]
closed = { repeat = true }
[[menu]]
name = "night"
number = "500"
"#;
    let mistakes = settings(text).unwrap_err();
    let told: Vec<(usize, usize, String)> = mistakes
        .0
        .iter()
        .map(|one| {
            let (line, column) = one.place.as_ref().unwrap().line_and_column();
            // The data directory stands in the first line.
            (line - 1, column, format!("{} {}", one.what, one.help.as_deref().unwrap_or_default()))
        })
        .collect();
    for (line, column, words) in [
        (4, 10, "*43 is the [[menu]] main and services.echo.number (built in)"),
        (4, 10, "3001 is the [[menu]] main and services.conference.rooms (built in)"),
        (4, 10, "\"5 0\" cannot be dialled"),
        (5, 11, "nothing.wav: No such file"),
        (5, 11, "text.wav: cannot play text.wav: expected WAV"),
        (5, 11, "\"../welcome.wav\" is no file in"),
        (5, 11, "there is no prompt \"menu-welcom\" did you mean \"menu-welcome\"?"),
        (5, 11, "\"number:many\" cannot be said"),
        (6, 8, "a time is written"),
        (6, 8, "set closed"),
        (7, 13, "a key leads to one place"),
        (9, 1, "there is no menu \"nigth\" did you mean \"night\"?"),
        (10, 1, "\"x\" is no key"),
        (11, 1, "\"cal\" leads nowhere like this did you mean \"call\"?"),
        (12, 1, "\"hangup\" leads nowhere like this { call"),
        (13, 1, "voicemail needs a number"),
        (15, 8, "the menu main is declared twice"),
        (18, 10, "set when"),
        (18, 10, "who comes while it is closed goes somewhere"),
        (20, 8, "this [[menu]] says nothing"),
        (21, 10, "500 is the [[menu]] night and the [[menu]] main ("),
    ] {
        let found =
            told.iter().any(|(at, from, what)| (*at, *from) == (line, column) && what.contains(words));
        assert!(found, "{line}:{column} {words}\n{told:#?}");
    }
    assert_eq!(told.len(), 21, "{told:#?}");
}
