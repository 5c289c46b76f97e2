//! `pillarbox-wifi.txt`, which an installer puts on the card: lines `ssid = …`, `password = …`, `country = DE`, and
//! `hidden = yes` where the network does not say its name (every network is looked for by name, so the line changes
//! nothing).
//! And the file for wpa_supplicant that comes of it, or of the owner's page.

use pillarbox_texts::in_all;

use crate::text;
use crate::values::{Country, NetworkName, Passphrase, Wrong};

/// Octets of the installer's file.
pub const OCTETS: usize = 4096;

/// A wireless network and how to join it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wireless {
    pub name: NetworkName,
    /// None: it is open.
    pub password: Option<Passphrase>,
    pub country: Option<Country>,
}

impl Wireless {
    /// Reads the installer's file.
    /// The error says what is wrong with it, in all languages: it is put beside the file.
    pub fn read(octets: &[u8]) -> Result<Wireless, String> {
        if octets.len() > OCTETS {
            return Err(said("wifi-file-too-large"));
        }
        let text = text::of(octets, OCTETS).map_err(|_| said("wifi-file-not-utf8"))?;
        let (mut name, mut password, mut country, mut hidden) = (None, None, None, None);
        for line in
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            // Blanks around a value are none of it, unless it is in quotation marks.
            let (key, value) =
                line.split_once('=').map_or((line, ""), |(key, value)| (key.trim(), value.trim()));
            let value = value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .unwrap_or(value)
                .to_string();
            let place = match key.to_ascii_lowercase().as_str() {
                "ssid" => &mut name,
                "password" => &mut password,
                "country" => &mut country,
                "hidden" => &mut hidden,
                // Not the line itself: it may contain a password.
                _ => return Err(said("wifi-file-line")),
            };
            *place = Some(value).filter(|value| !value.is_empty());
        }
        if hidden.is_some_and(|hidden: String| {
            !["yes", "no", "ja", "nein", "true", "false", "1", "0"]
                .contains(&hidden.to_ascii_lowercase().as_str())
        }) {
            return Err(said("wifi-file-hidden"));
        }
        let name = name.ok_or_else(|| said("wifi-file-no-name"))?;
        Ok(Wireless {
            name: checked(name, "wifi-file-name")?,
            password: password
                .map(|password| checked(password, "wifi-file-password"))
                .transpose()?,
            country: country
                .map(|country| checked(country.to_ascii_uppercase(), "wifi-file-country"))
                .transpose()?,
        })
    }

    /// The file for wpa_supplicant.
    pub fn file(&self) -> String {
        // The name in hex: none can leave its place in the file.
        let ssid: String = self.name.as_str().bytes().map(|b| format!("{b:02x}")).collect();
        // It ends at the line's last quotation mark: those within it are its own.
        // WPA2 and WPA3 (SAE), with protected management frames where the network has them, as WPA3 wants.
        let key = match &self.password {
            Some(password) => format!(
                "psk=\"{}\"\n  key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n  ieee80211w=1",
                password.as_str()
            ),
            None => "key_mgmt=NONE".into(),
        };
        let country = self
            .country
            .as_ref()
            .map(|country| format!("country={}\n", country.as_str()))
            .unwrap_or_default();
        // Always asked for by name: a hidden network answers only that.
        format!("{country}network={{\n  ssid={ssid}\n  scan_ssid=1\n  {key}\n}}\n")
    }
}

fn checked<T: TryFrom<String, Error = Wrong>>(
    text: String,
    key: &'static str,
) -> Result<T, String> {
    T::try_from(text).map_err(|_| said(key))
}

fn said(key: &'static str) -> String {
    let octets = OCTETS.to_string();
    format!(
        "pillarbox-wifi.txt: {}",
        in_all(" / ", |language| language.plain_with(key, &[("octets", &octets)]))
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_installers_file_is_read_or_what_is_wrong_is_said() {
        for text in [
            "ssid = Office & Co\npassword = a b c d e\ncountry = de\n",
            "\u{feff}# ours\r\n\r\nSSID=\"Office & Co\" \r\n password=a b c d e  \r\ncountry = DE \r\n",
        ] {
            let file = Wireless::read(text.as_bytes()).unwrap().file();
            assert_eq!(
                file,
                "country=DE\nnetwork={\n  ssid=4f6666696365202620436f\n  scan_ssid=1\n  psk=\"a b c d e\"\n  key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n  ieee80211w=1\n}\n"
            );
        }
        for hidden in ["yes", "No", "ja", ""] {
            let file = Wireless::read(
                format!("ssid = Office\npassword = a sentence\nhidden = {hidden}\n").as_bytes(),
            )
            .unwrap()
            .file();
            assert!(file.contains("scan_ssid=1"), "{hidden}");
        }
        assert!(
            Wireless::read(b"ssid = Guests\npassword =\n")
                .unwrap()
                .file()
                .contains("key_mgmt=NONE")
        );
        for (text, wanted) in [
            ("", "names no network"),
            ("password = 12345678", "names no network"),
            ("ssid = x\npassword = short", "8 to 63"),
            ("ssid = x\ncountry = Germany", "two capital letters"),
            ("ssid = x\nhidden = perhaps", "yes or no"),
            ("ssid = x\npasword = secret123", "begins with none of"),
            ("ssid = B\u{fc}ro\npassword = sch\u{f6}nes Wetter", "8 to 63"),
        ] {
            let why = Wireless::read(text.as_bytes()).unwrap_err();
            assert!(
                why.contains(wanted) && why.contains(" / ") && !why.contains("secret123"),
                "{text:?}: {why}"
            );
        }
        let why = Wireless::read(&[b'x'; OCTETS + 1]).unwrap_err();
        assert!(
            why.contains("larger than 4096 bytes") && why.contains("größer als 4096 Byte"),
            "{why}"
        );
        assert!(Wireless::read(b"ssid = B\xfcro").unwrap_err().contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn no_value_leaves_its_place(octets in prop::collection::vec(any::<u8>(), 0..80), value in "[ -~äß\"=]{0,40}") {
            let _ = Wireless::read(&octets);
            if let Ok(wireless) = Wireless::read(format!("ssid = {value}\npassword = {value}\ncountry=DE\n").as_bytes()) {
                prop_assert!((6..=8).contains(&wireless.file().lines().count()));
            }
        }
    }
}
