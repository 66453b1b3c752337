//! Creates ACLs with Kafka's own protocol (CreateAcls, version 1): hundreds in one request, while `kafka-acls.sh` would start
//! a JVM for each.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use ipn_receiver::kafka::acls::{AclEntry, Operation, Resource};

/// Grants each of these ACLs to the user beside it.
pub(super) fn grant(broker: &str, granted: &[(String, AclEntry)]) {
    let mut request = Vec::new();
    request.extend(30_i16.to_be_bytes()); // CreateAcls
    request.extend(1_i16.to_be_bytes());
    request.extend(7_i32.to_be_bytes()); // correlation id
    string(&mut request, "test");
    request.extend(i32::try_from(granted.len()).unwrap().to_be_bytes());
    for (user, acl) in granted {
        let (_, name, is_prefix) = acl.resource.parts();
        let kind = match acl.resource {
            Resource::Topic(_) | Resource::TopicsFrom(_) => 2,
            Resource::Group(_) | Resource::GroupsFrom(_) => 3,
            Resource::TransactionalIdsFrom(_) => 5,
        };
        let operation = match acl.operation {
            Operation::Read => 3,
            Operation::Write => 4,
            Operation::Create => 5,
            Operation::Describe => 8,
            Operation::DescribeConfigs => 10,
        };
        request.push(kind);
        string(&mut request, name);
        request.push(if is_prefix { 4 } else { 3 });
        string(&mut request, &format!("User:{user}"));
        string(&mut request, "*");
        request.extend([operation, 3]); // 3 allows
    }
    let mut connection = TcpStream::connect(broker).unwrap();
    connection.write_all(&i32::try_from(request.len()).unwrap().to_be_bytes()).unwrap();
    connection.write_all(&request).unwrap();
    let mut length = [0; 4];
    connection.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    connection.read_exact(&mut answer).unwrap();
    // Correlation id, throttle time and count; then an error code and an empty message for each.
    assert_eq!(answer[8..12], i32::try_from(granted.len()).unwrap().to_be_bytes(), "{answer:?}");
    assert!(answer[12..].iter().all(|byte| *byte == 0), "an ACL was not created: {answer:?}");
}

fn string(request: &mut Vec<u8>, text: &str) {
    request.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
    request.extend(text.as_bytes());
}
