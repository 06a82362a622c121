use offhook_media::camera::{CameraId, Coding};

use crate::Settings;
use crate::config_file::{Mistakes, Sources};

fn settings(text: &str) -> Result<Settings, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    std::fs::write(folder.path().join("door.secret"), "geheim\n").unwrap();
    std::fs::write(&file, text).unwrap();
    Settings::read(&Sources { file: Some(file), ..Sources::default() })
}

const CAMERAS: &str = r#"
[[group]]
number = "600"
members = ["1001", "1002"]
[[camera]]
name = "Front door"
number = "81"
url = "rtsp://192.0.2.7/live"
username = "viewer"
password_file = "door.secret"
calls = ["600", "1009"]
rings_for = "45s"
[[camera]]
name = "Yard"
number = "82"
url = "rtsp://192.0.2.8:8554/h265"
video = "h265"
"#;

#[test]
fn cameras_are_read_as_they_are_written_and_a_group_stands_for_its_members() {
    let settings = settings(CAMERAS).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let [door, yard] = &settings.services.cameras[..] else { panic!("two cameras") };
    assert_eq!((door.id, door.name.as_str(), door.number.as_str()), (CameraId(0), "Front door", "81"));
    assert_eq!(door.calls, ["1001", "1002", "1009"]);
    assert_eq!((door.coding, door.rings_for.as_secs()), (Some(Coding::H264), 45));
    assert_eq!((yard.id, yard.coding, yard.calls.len()), (CameraId(1), Some(Coding::H265), 0));
    let [door, _] = &settings.cameras[..] else { panic!("two places") };
    assert_eq!((door.id, door.name.as_str()), (CameraId(0), "Front door"));
    assert!(!format!("{settings:?}").contains("geheim"));
}

#[test]
fn every_mistake_in_a_camera_is_told_with_its_place() {
    let mistakes = |text: &str| settings(text).expect_err("a mistake").to_string();
    let camera = |lines: &str| format!("[[camera]]\nname = \"a\"\nnumber = \"81\"\n{lines}\n");
    let cases = [
        (camera("urll = \"rtsp://192.0.2.7/\""), "url"),
        (camera("url = \"http://192.0.2.7/\""), "rtsp://"),
        (camera("url = \"rtsp://a:b@192.0.2.7/\""), "keys of their own"),
        (camera(""), "no url"),
        (camera("url = \"rtsp://192.0.2.7/\"\nusername = \"a\""), "needs its password"),
        (camera("url = \"rtsp://192.0.2.7/\"\npassword = \"a\""), "needs its user name"),
        (camera("url = \"rtsp://192.0.2.7/\"\nvideo = \"h266\""), "h265"),
        (camera("url = \"rtsp://192.0.2.7/\"\ncalls = \"81\""), "the camera itself"),
        (camera("url = \"rtsp://192.0.2.7/\"").repeat(2), "declared twice"),
        ("[[camera]]\nurl = \"rtsp://192.0.2.7/\"\nnumber = \"81\"".to_owned(), "no name"),
        ("[[camera]]\nname = \"a\"\nurl = \"rtsp://192.0.2.7/\"".to_owned(), "no number"),
    ];
    for (text, expected) in cases {
        let told = mistakes(&text);
        assert!(told.contains(expected) && told.contains("offhook.toml"), "{text}\n{told}");
    }
}
