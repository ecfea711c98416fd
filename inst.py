p='src/v2/watcher.rs'
s=open(p).read()
s=s.replace('''        let next = polls.newer.from;
        let index = since.index;
''','''        let next = polls.newer.from;
        let index = since.index;
        eprintln!("LAG {} {} {:?} probe {:?} held {}", if self.has_heads {"head"} else {"probe"}, index as i64 - next as i64, self.latencies, self.probe.as_ref().map(|p| p.index - index), polls.older.is_some());
''')
open(p,'w').write(s)
p='tests/behaviour/endurance.rs'
s=open(p).read()
s=s.replace('''        for _ in 0..100 {
            join(write_elsewhere(&etcd, 25), etcd.sleep(50)).await;
        }
''','''        let per: usize = std::env::var("PER").map_or(25, |v| v.parse().unwrap());
        let began = etcd.client(|c| c).transport().now();
        for _ in 0..200 {
            join(write_elsewhere(&etcd, per), etcd.sleep(50)).await;
        }
        eprintln!("RATE {}", 200.0 * per as f64 / etcd.client(|c| c).transport().now().duration_since(began).as_secs_f64());
''')
open(p,'w').write(s)
