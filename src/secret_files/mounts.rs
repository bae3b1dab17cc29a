//! Tells whether a file is on a mount of its own, as the secrets of containers are.
//!
//! Knows the table of mounts. Does not know which directories are trusted. Everything except
//! [`is_mounted_in`] is pure.
//!
//! Sources: proc_pid_mountinfo(5) for the fields and their octal escapes; proc_pid_fdinfo(5):
//! `mnt_id` is the number of the mount that an open file is on. So the kernel identifies the mount,
//! even if another one now covers it, and no path is compared that may have changed.
//!
//! systemd makes a folder read-only for a service (`ReadOnlyPaths=`, `ProtectSystem=`) by mounting
//! it over itself (systemd.exec(5)). Such a mount shows the same files as before, so it counts as
//! the mount below it.

use std::fs::File;
use std::path::PathBuf;

/// Returns true if the file is on a mount whose mount point is one of these directories or inside
/// one. The directories must have no symbolic links. If the system gives no answer, returns false.
#[cfg(target_os = "linux")]
pub(super) fn is_mounted_in(file: &File, directories: &[PathBuf]) -> bool {
    use std::os::fd::AsRawFd;

    let id = std::fs::read(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))
        .ok()
        .and_then(|fields| mount_id(&fields));
    let table = std::fs::read("/proc/self/mountinfo");
    match (id, table) {
        (Some(id), Ok(table)) => Mounts::read(&table).is_mounted_in(id, directories),
        _ => false,
    }
}

/// The same by device numbers, on systems without such a table.
#[cfg(all(unix, not(target_os = "linux")))]
pub(super) fn is_mounted_in(file: &File, directories: &[PathBuf]) -> bool {
    use std::os::unix::fs::MetadataExt;

    let Ok(file) = file.metadata() else {
        return false;
    };
    directories.iter().any(|directory| {
        let above = directory.parent().and_then(|above| above.metadata().ok());
        let itself = std::fs::metadata(directory).ok();
        let is_there = |inside: &std::fs::Metadata| inside.dev() == file.dev();
        itself.as_ref().is_some_and(is_there)
            && above.is_some_and(|above| above.dev() != file.dev())
    })
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    id: u64,
    parent: u64,
    /// The device number of the file system, as it is written.
    device: Vec<u8>,
    /// The folder of the file system that is mounted.
    root: PathBuf,
    /// The mount point.
    point: PathBuf,
}

/// The mounts that this process sees.
#[derive(Debug)]
struct Mounts(Vec<Mount>);

impl Mounts {
    /// Reads the table. A line of another form is skipped.
    fn read(table: &[u8]) -> Self {
        Self(
            table
                .split(|byte| *byte == b'\n')
                .filter_map(mount)
                .collect(),
        )
    }

    fn get(&self, id: u64) -> Option<&Mount> {
        self.0.iter().find(|mount| mount.id == id)
    }

    /// Returns true if the mount point of this mount is in one of the directories.
    fn is_mounted_in(&self, id: u64, directories: &[PathBuf]) -> bool {
        let Some(mut mount) = self.get(id) else {
            return false;
        };
        // The number of steps is bounded, since the parents in a table may form a circle.
        for _ in &self.0 {
            match self.get(mount.parent) {
                Some(below) if mount.is_remount_of(below) => mount = below,
                _ => break,
            }
        }
        let is_in = |directory: &PathBuf| mount.point.starts_with(directory);
        directories.iter().any(is_in)
    }
}

impl Mount {
    /// Returns true if this mount shows the same folder that is at its place on the mount `below`.
    fn is_remount_of(&self, below: &Self) -> bool {
        let inside = self.point.strip_prefix(&below.point);
        self.device == below.device
            && inside.is_ok_and(|inside| self.root == below.root.join(inside))
    }
}

/// Reads one line: `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = fields.next()?.to_vec();
    let mut path = || fields.next().map(unescaped).and_then(absolute);
    Some(Mount {
        id,
        parent,
        device,
        root: path()?,
        point: path()?,
    })
}

/// The number after `mnt_id:`, on its line.
fn mount_id(fields: &[u8]) -> Option<u64> {
    let mut lines = fields.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(b"mnt_id:"))?;
    number(value.trim_ascii())
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// Blanks, tabs, line breaks and backslashes in paths are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| octal(behind)).flatten();
        let (byte, behind) = octal.unwrap_or((*first, behind));
        text.push(byte);
        rest = behind;
    }
    text
}

/// The byte that three octal digits stand for, and the rest of the text.
fn octal(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, behind) = text.split_first_chunk::<3>()?;
    let is_octal = digits.iter().all(|digit| matches!(digit, b'0'..=b'7'));
    let value = digits
        .iter()
        .fold(0_u16, |value, digit| value * 8 + u16::from(digit & 7));
    let byte = u8::try_from(value).ok().filter(|_| is_octal)?;
    Some((byte, behind))
}

#[cfg(unix)]
fn absolute(path: Vec<u8>) -> Option<PathBuf> {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let path = PathBuf::from(OsString::from_vec(path));
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A container of Docker with two secrets of Swarm, one of Compose (a file of the host), and a
    /// volume.
    const DOCKER: &str = "\
        600 500 0:80 / / ro,relatime master:1 - overlay overlay ro,lowerdir=/a,upperdir=/b\n\
        601 600 0:81 / /proc rw,nosuid - proc proc rw\n\
        602 600 0:82 / /dev rw,nosuid - tmpfs tmpfs rw\n\
        603 600 254:1 /var/lib/docker/containers/c/hosts /etc/hosts rw,relatime - ext4 /dev/vda1 rw\n\
        604 600 0:90 /abc /run/secrets/password ro,relatime - tmpfs tmpfs ro\n\
        605 600 254:1 /home/jo/compose/link.txt /run/secrets/link rw,relatime - ext4 /dev/vda1 rw\n\
        606 600 254:1 /var/lib/docker/volumes/v/_data /run rw - ext4 /dev/vda1 rw\n";
    /// A pod of Kubernetes, whose volume of secrets is mounted where it likes.
    const POD: &str = "\
        600 500 0:80 / / rw,relatime master:1 - overlay overlay rw\n\
        610 600 0:91 / /etc/wavegate/secrets ro,relatime - tmpfs tmpfs rw,size=65536k\n\
        611 600 254:1 /var/lib/kubelet/pods/p/etc-hosts /etc/hosts rw - ext4 /dev/vda1 rw\n";
    /// A service of systemd with credentials, ProtectSystem=strict, and ReadOnlyPaths= of two
    /// folders.
    const SERVICE: &str = "\
        27 1 254:0 / / ro,relatime - ext4 /dev/vda rw\n\
        40 27 0:20 / /run rw - tmpfs tmpfs rw\n\
        50 40 0:33 / /run/credentials/wavegate.service ro,nosuid - ramfs ramfs rw,mode=700\n\
        51 40 0:20 /secrets /run/secrets ro - tmpfs tmpfs rw\n\
        52 27 254:0 /etc/wavegate/secrets /etc/wavegate/secrets ro - ext4 /dev/vda rw\n\
        53 52 254:0 /etc/wavegate/secrets /etc/wavegate/secrets ro - ext4 /dev/vda rw\n\
        54 40 254:0 /srv/given /run/secrets/given ro - ext4 /dev/vda rw\n";

    #[track_caller]
    fn check(table: &str, id: u64, directory: &str, expected: bool) {
        let found = Mounts::read(table.as_bytes()).is_mounted_in(id, &[directory.into()]);
        assert_eq!(found, expected, "{id} in {directory}");
    }

    #[test]
    fn a_mount_in_the_directory_is_one_of_its_own() {
        let secrets = "/run/secrets";
        for id in [604, 605] {
            check(DOCKER, id, secrets, true);
        }
        check(POD, 610, "/etc/wavegate/secrets", true);
        check(POD, 610, "/etc/wavegate", true);
        check(SERVICE, 50, "/run/credentials/wavegate.service", true);
        check(SERVICE, 54, secrets, true);
    }

    #[test]
    fn a_mount_around_the_directory_or_over_itself_does_not_count() {
        let secrets = "/run/secrets";
        // The container's root, although it is read-only, and a volume that contains the directory.
        for id in [600, 606, 603] {
            check(DOCKER, id, secrets, false);
        }
        check(DOCKER, 604, "/run/secrets/pass", false);
        check(POD, 600, "/etc/wavegate/secrets", false);
        check(POD, 610, "/etc/wavegate/secret", false);
        check(SERVICE, 51, secrets, false);
        for id in [52, 53, 27] {
            check(SERVICE, id, "/etc/wavegate/secrets", false);
        }
        // A number that is not in the table.
        check(SERVICE, 99, secrets, false);
        check("", 604, secrets, false);
    }

    #[test]
    fn a_line_is_read_by_the_order_of_its_fields() {
        let line = br"36 35 98:0 /m\0401 /run/a\011b\012c\134d rw,noatime - ext3 /dev/root rw";
        let expected = Mount {
            id: 36,
            parent: 35,
            device: b"98:0".to_vec(),
            root: "/m 1".into(),
            point: "/run/a\tb\nc\\d".into(),
        };
        assert_eq!(mount(line), Some(expected));
        for line in [
            "",
            "36",
            "36 35 98:0 /",
            "x 35 98:0 / /",
            "36 35 98:0 / run",
        ] {
            assert_eq!(mount(line.as_bytes()), None, "{line}");
        }
        for (field, expected) in [
            (r"\04", r"\04"),
            (r"\400", r"\400"),
            (r"\089", r"\089"),
            (r"\\040", "\\ "),
        ] {
            assert_eq!(unescaped(field.as_bytes()), expected.as_bytes(), "{field}");
        }
        assert_eq!(
            mount_id(b"pos:\t0\nflags:\t0100000\nmnt_id:\t63\nino:\t2\n"),
            Some(63)
        );
        assert_eq!(mount_id(b"pos:\t0\nflags:\t0100000\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_tells_the_mount_of_a_file() {
        let file = tempfile::tempfile().unwrap();
        let root = [PathBuf::from("/")];
        assert!(is_mounted_in(&file, &root));
        assert!(!is_mounted_in(&file, &["/nowhere".into()]));
    }

    /// A path as the kernel writes it.
    fn escaped(path: &[u8]) -> Vec<u8> {
        let escape = |byte: &u8| match byte {
            b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
            _ => vec![*byte],
        };
        path.iter().flat_map(escape).collect()
    }

    proptest! {
        #[test]
        fn no_table_makes_the_reader_panic(table in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mounts = Mounts::read(&table);
            let _ = (mounts.is_mounted_in(1, &["/run".into()]), mount_id(&table), unescaped(&table));
        }

        #[test]
        fn every_mount_is_read_back(
            mounts in proptest::collection::vec((1_u64..9, 1_u64..9, "/[a-c \t\n\\\\/ä]{0,8}", "/[a-c \t\n\\\\/ä]{0,8}"), 0..8),
        ) {
            let mut table = Vec::new();
            for (id, parent, root, point) in &mounts {
                table.extend(format!("{id} {parent} 8:1 ").into_bytes());
                table.extend([&escaped(root.as_bytes()), &b" "[..], &escaped(point.as_bytes())].concat());
                table.extend(b" rw,relatime shared:1 - ext4 /dev/vda rw\n");
            }
            let read = Mounts::read(&table);
            let paths = |mount: &Mount| (mount.id, mount.parent, mount.root.clone(), mount.point.clone());
            let found: Vec<_> = read.0.iter().map(paths).collect();
            let expected: Vec<_> = mounts.iter().map(|(id, parent, root, point)| (*id, *parent, root.into(), point.into())).collect();
            prop_assert_eq!(found, expected);
            // The parents may form a circle here; the search ends all the same.
            let _ = read.is_mounted_in(1, &["/a".into()]);
        }

        #[test]
        fn only_a_mount_inside_the_directory_is_trusted(point in "/[a-c]{1,2}(/[a-c]{1,2}){0,3}", directory in "/[a-c]{1,2}(/[a-c]{1,2}){0,3}") {
            let table = format!("1 0 8:1 / / rw - ext4 d rw\n2 1 0:9 / {point} ro - tmpfs d rw\n");
            let is_inside = point == directory || point.starts_with(&format!("{directory}/"));
            let mounts = Mounts::read(table.as_bytes());
            prop_assert_eq!(mounts.is_mounted_in(2, &[directory.clone().into()]), is_inside);
            prop_assert!(!mounts.is_mounted_in(1, &[directory.into()]));
        }
    }
}
