//! The same done by Python's paho and PyJWT with their own clients.

use std::path::Path;
use std::process::{Command, Stdio};

/// Messages in a second at QoS 0 and 1; nothing without a virtual environment that has both.
pub(crate) fn rates(broker: u16) -> [Option<f64>; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../target/bench-python/bin/python");
    if !python.exists() {
        println!(
            "\nno target/bench-python: python3 -m venv target/bench-python && target/bench-python/bin/pip install paho-mqtt PyJWT cryptography"
        );
        return [None, None];
    }
    let script = root.join("benches/gateway/python.py");
    ["0", "1"].map(|qos| {
        let rate = || {
            let mut command = Command::new(&python);
            command
                .arg(&script)
                .args([&broker.to_string(), qos, "4000"]);
            let output = command.stderr(Stdio::inherit()).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            text.trim().parse::<f64>().unwrap()
        };
        let mut rates: Vec<f64> = (0..crate::setting("ROUNDS", 5)).map(|_| rate()).collect();
        Some(crate::median(&mut rates))
    })
}
