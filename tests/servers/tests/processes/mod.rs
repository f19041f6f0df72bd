//! Finds the processes that belong to a server by the folder they know: in their environment, arguments or working directory.

use std::path::Path;
use std::time::{Duration, Instant};

/// The ids of the processes that know a folder. On systems without `/proc` none.
pub(crate) fn of(folder: &Path) -> Vec<String> {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let knows = |process: &Path| {
        let texts = ["environ", "cmdline"].map(|file| std::fs::read(process.join(file)).unwrap_or_default());
        let place = std::fs::read_link(process.join("cwd")).unwrap_or_default();
        let named = |text: &[u8]| String::from_utf8_lossy(text).contains(&name);
        texts.iter().any(|text| named(text)) || named(place.as_os_str().as_encoded_bytes())
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let found = entries.filter(|path| knows(path));
    found.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// That no process which knows the folder is left, within a moment: those that a server started notice its end.
pub(crate) fn assert_none(folder: &Path) {
    let begun = Instant::now();
    while let left @ [_, ..] = of(folder).as_slice() {
        assert!(begun.elapsed() < Duration::from_secs(10), "still running: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
