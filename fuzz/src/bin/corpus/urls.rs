//! URLs of certificates: good ones, and the tricks that are known.

use super::Seed;

/// URLs; after a line feed a development origin.
pub fn urls() -> Vec<Seed> {
    let hash = "0123456789abcdef0123456789abcdef";
    let file = format!("SimpleNotificationService-{hash}.pem");
    let eu = "https://sns.eu-west-1.amazonaws.com";
    let good = [
        format!("{eu}/{file}"),
        format!("https://sns.us-east-1.amazonaws.com/{file}"),
        format!("http://localhost:4566/_aws/sns/{file}"),
        format!("https://sns.test/a/b/{file}\nhttps://sns.test/a/b/"),
        format!("https://sns.ap-east-1.amazonaws.com/{file}\nhttps://sns.ap-east-1.amazonaws.com"),
        "http://crt.r2m01.amazontrust.com/r2m01.cer".to_owned(),
        "http://crt.rootca1.amazontrust.com/rootca1.cer".to_owned(),
    ];
    let bad = [
        format!("https://sns.s3-eu-west-1.amazonaws.com/{file}"),
        format!("{eu}:443/{file}"),
        format!("https://user:pw@sns.eu-west-1.amazonaws.com/{file}"),
        format!("{eu}@evil.example/{file}"),
        format!("{eu}.evil.example/{file}"),
        format!("{eu}/x/../{file}"),
        format!("{eu}/{file}?x=.pem"),
        format!("{eu}/{file}#.pem"),
        format!("{eu}/%53impleNotificationService-{hash}.pem"),
        format!("{eu}\\{file}"),
        format!("HTTPS://SNS.EU-WEST-1.AMAZONAWS.COM/{file}"),
        format!("https://sns.eu-west-1.amazonaws.com.cn/{file}"),
        format!("https:/\t/sns.eu-west-1.amazonaws.com/{file}"),
        format!(" {eu}/{file}"),
        format!("https://ѕns.eu-west-1.amazonaws.com/{file}"),
        format!("{eu}/?Action=GetSubscriptionAttributes&x={file}"),
        "http://u@crt.amazontrust.com/x".to_owned(),
        "http://crt.amazontrust.com:80/x".to_owned(),
        "http://xn--a.amazontrust.com/x".to_owned(),
        "http://evil.example/.amazontrust.com/x".to_owned(),
    ];
    let named =
        |kind: &'static str| move |(at, url): (usize, String)| (format!("{kind}-{at:02}.txt"), url.into_bytes());
    good.into_iter().enumerate().map(named("good")).chain(bad.into_iter().enumerate().map(named("bad"))).collect()
}
