//! The kernel's memory limit for one process, as a pod has it: beyond it the process is killed.

use std::path::{Path, PathBuf};

/// A control group. It is removed when it is dropped, after the process in it has ended.
pub(super) struct MemoryLimit(PathBuf);

impl MemoryLimit {
    /// `None` where this user may not make a control group, or where the system has none for memory.
    pub(super) fn new(bytes: u64) -> Option<Self> {
        let name = format!("ipn-receiver-{}", std::process::id());
        // Version 1 has a tree for memory alone; version 2 has one tree, whose groups may have a file for memory.
        let [v1, v2] = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].map(|tree| Path::new(tree).join(&name));
        [(v1, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", bytes), (v2, "memory.max", "memory.swap.max", 0)]
            .into_iter()
            .find_map(|(folder, limit, limit_with_swap, with_swap)| {
                std::fs::create_dir(&folder).ok()?;
                let group = Self(folder);
                // Creating the file is no limit: the kernel makes it.
                let is_limited = group.0.join(limit).exists() && group.write(limit, bytes);
                // Without swap in the system there is no such file.
                let _ = is_limited && group.0.join(limit_with_swap).exists() && group.write(limit_with_swap, with_swap);
                is_limited.then_some(group)
            })
    }

    /// Puts a process into the group.
    pub(super) fn hold(&self, process: u32) {
        assert!(self.write("cgroup.procs", process.into()), "the process joins the control group");
    }

    fn write(&self, file: &str, value: u64) -> bool {
        std::fs::write(self.0.join(file), value.to_string()).is_ok()
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
