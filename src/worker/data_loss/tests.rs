use super::*;

const NEW: Found = Found { log_start: 0, marker: None, n_objects: 0, n_rebuilt: 0 };

fn partition_offsets(committed: Option<i64>, start: i64, end: i64) -> PartitionOffsets {
    PartitionOffsets { committed, start, end }
}

fn complete(n_objects: usize) -> Found {
    Found { marker: Some(CompletenessMarker::new(0, true)), n_objects, ..NEW }
}

#[test]
fn inbox_continues_at_committed_offset_or_else_at_start() {
    for (committed, position) in [(None, 5), (Some(4), 5), (Some(5), 5), (Some(7), 7), (Some(9), 9), (Some(10), 5)] {
        assert_eq!(partition_offsets(committed, 5, 9).position(), position, "{committed:?}");
    }
}

#[test]
fn each_data_loss_is_reported_and_nothing_else_is() {
    let offsets = |start| DataLoss::Offsets { start };
    let state = |log_start, n_rebuilt| DataLoss::State { log_start, n_rebuilt };
    let unread = |expected, start| DataLoss::InboxStart { expected, start };
    for (what, partition_offsets, found, losses) in [
        ("a new system", partition_offsets(None, 0, 0), NEW, vec![]),
        ("a new system with a backlog", partition_offsets(None, 0, 100), NEW, vec![]),
        ("a new worker that has just written its first barrier", partition_offsets(Some(0), 0, 100), NEW, vec![]),
        ("no loss", partition_offsets(Some(70), 50, 100), complete(3), vec![]),
        ("no event was published here", partition_offsets(Some(70), 50, 100), complete(0), vec![]),
        ("written by an earlier version", partition_offsets(Some(70), 50, 100), Found { n_objects: 3, ..NEW }, vec![]),
        ("offsets expired", partition_offsets(None, 50, 100), complete(3), vec![offsets(50)]),
        ("offsets expired, no event was published", partition_offsets(None, 0, 0), complete(0), vec![offsets(0)]),
        (
            "offsets and state lost",
            partition_offsets(None, 50, 100),
            Found { n_rebuilt: 2, ..NEW },
            vec![offsets(50), state(0, 2)],
        ),
        ("no worker ever ran, and retention has passed", partition_offsets(None, 50, 100), NEW, vec![unread(0, 50)]),
        ("unread records deleted", partition_offsets(Some(49), 50, 100), complete(3), vec![unread(49, 50)]),
        ("read records deleted", partition_offsets(Some(50), 50, 50), complete(3), vec![]),
        (
            "inbox recreated",
            partition_offsets(Some(70), 0, 3),
            complete(3),
            vec![DataLoss::InboxEnd { expected: 70, end: 3 }],
        ),
        (
            "part of the state deleted",
            partition_offsets(Some(70), 50, 100),
            Found { log_start: 9, ..complete(2) },
            vec![state(9, 0)],
        ),
        (
            "all of the state deleted",
            partition_offsets(Some(70), 50, 100),
            Found { log_start: 9, ..NEW },
            vec![state(9, 0)],
        ),
        ("state topic recreated", partition_offsets(Some(70), 50, 100), NEW, vec![state(0, 0)]),
        (
            "state topic recreated and written to before the takeover",
            partition_offsets(Some(70), 50, 100),
            Found { n_objects: 1, n_rebuilt: 4, ..NEW },
            vec![state(0, 4)],
        ),
        (
            "an interrupted rebuild",
            partition_offsets(Some(70), 50, 100),
            Found { marker: Some(CompletenessMarker::new(9, false)), log_start: 9, n_objects: 1, n_rebuilt: 3 },
            vec![state(9, 3)],
        ),
        (
            "a complete rebuild",
            partition_offsets(Some(70), 50, 100),
            Found { marker: Some(CompletenessMarker::new(9, true)), log_start: 9, n_objects: 4, n_rebuilt: 0 },
            vec![],
        ),
    ] {
        assert_eq!(judge(&partition_offsets, &found), losses, "{what}");
    }
}
