//! Random commits and reads, the same to the store in memory and to Redis: both must show the same.

use oarlock_orchestrator::store::memory::Memory;

use super::server::Server;
use super::*;

/// Numbers that look random, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// Few names, so that writes meet.
    fn name(&mut self) -> String {
        format!("n{}", self.below(12))
    }

    fn write(&mut self) -> Write {
        let hashes = [run(1), run(2), Key::Outbox];
        let hash = hashes[self.below(3) as usize].clone();
        let sorted = sets()[self.below(2) as usize].clone();
        match self.below(20) {
            0..=6 => Write::HashSet { key: hash, field: self.name(), value: Bytes::from(self.name()) },
            7..=10 => Write::HashDelete { key: hash, field: self.name() },
            11..=15 => Write::SortedSet { key: sorted, member: self.name(), score: self.below(5) as i64 - 2 },
            16..=18 => Write::SortedRemove { key: sorted, member: self.name() },
            _ if self.below(2) == 0 => Write::Delete { key: hash },
            _ => Write::Delete { key: sorted },
        }
    }

    fn range(&mut self) -> Range {
        let after = (self.below(3) > 0).then(|| (self.below(7) as i64 - 3, self.name()));
        Range {
            from: self.below(6) as i64 - 3,
            to: self.below(6) as i64 - 3,
            after,
            limit: self.below(6) as usize,
            descending: self.below(2) == 0,
        }
    }
}

fn sets() -> [Key; 2] {
    [Key::Timers, Key::Runs { tenant: "acme".to_owned(), status: "RUNNING".to_owned() }]
}

#[tokio::test]
async fn redis_and_memory_show_the_same_after_the_same_commits() {
    let server = Server::start(&[]);
    let (redis, memory) = (store(&server.url()).await, Memory::new());
    memory.partitions(4).await.unwrap();
    let (token, ..) = own(&redis, 0, None).await;
    let Ok(Ownership::Owned { token: mirror, .. }) = memory.own(0, &claim(None)).await else {
        panic!("free")
    };
    let mut numbers = Numbers(20_261_123);
    for seq in 1..=300 {
        let count = numbers.below(40);
        let writes: Vec<Write> = (0..count).map(|_| numbers.write()).collect();
        redis.commit(0, &token, seq, &writes).await.unwrap();
        memory.commit(0, &mirror, seq, &writes).await.unwrap();
        for key in [run(1), run(2), Key::Outbox] {
            let mut expected = memory.read_hash(0, &key, Fields::All).await.unwrap();
            expected.sort();
            assert_eq!(hash(&redis, 0, &key).await, expected, "commit {seq}: {writes:?}");
        }
        for key in sets() {
            for _ in 0..5 {
                let range = numbers.range();
                let expected = memory.read_sorted(0, &key, &range).await.unwrap();
                let found = redis.read_sorted(0, &key, &range).await.unwrap();
                assert_eq!(found, expected, "commit {seq}: {range:?}");
            }
        }
    }
}
