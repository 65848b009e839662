/** A behaviour of S3 that a server has not. */
export interface Difference {
  /** `area › behaviour`, as the suite states it. */
  readonly behaviour: string;
  /** What the server does instead. */
  readonly instead: string;
  /** How the behaviour fails there: fits the text of the error. */
  readonly shows: RegExp;
  /** Not every time: now and then it behaves as S3. */
  readonly sometimes?: true;
}

/** A request that S3 refuses takes effect. */
const passedOver = /promise resolved .* instead of rejecting/;

/** All in which Ceph's gateway (16.2, as Debian 12 has it) differs from S3, among what the suite states. */
export const cephDifferences: readonly Difference[] = [
  {
    behaviour: "objects › at most 1,000 are deleted at once",
    instead: "the refusal has no code",
    shows: /expected Unknown.* to match object \{ name: 'MalformedXML'/,
  },
  {
    behaviour: "objects › a key has at most 1,024 bytes of UTF-8",
    instead: "the refusal is InvalidObjectName",
    shows: /expected InvalidObjectName.* to match object \{ name: 'KeyTooLongError'/,
  },
  {
    behaviour: "conditions › the ETag of a condition may come in its quotes",
    instead: "a put compares it with its quotes, and never finds it equal",
    shows: /^PreconditionFailed/,
  },
  {
    behaviour: "conditions › a put that asks for an ETag of what is not there is NoSuchKey",
    instead: "it is PreconditionFailed",
    shows: /expected PreconditionFailed.* to match object \{ name: 'NoSuchKey'/,
  },
  {
    behaviour: "conditions › of puts that race on what they read, those that lose are told so",
    instead: "some are told an error of the server",
    shows: /expected \[ (?:UnknownError|…).* to deeply equal \[\]/,
    sometimes: true,
  },
  {
    behaviour: "conditions › a delete under a condition takes effect on that ETag only",
    instead: "the condition is passed over, and the object deleted",
    shows: passedOver,
  },
  {
    behaviour: "conditions › a delete under a condition of what is not there is NoSuchKey",
    instead: "the condition is passed over",
    shows: passedOver,
  },
  {
    behaviour: "listings › a token that S3 did not give is refused",
    instead: "it is taken as a key to start behind",
    shows: passedOver,
  },
  {
    behaviour: "multipart uploads › the end of an upload tells the ETag of the object",
    instead: "it tells an empty one",
    shows: /expected '' to be '"[0-9a-f]{32}-1"'/,
  },
  {
    behaviour: "multipart uploads › only the parts that are named become the object",
    instead: "an upload that has other parts too is refused",
    shows: /^InvalidPart/,
  },
  {
    behaviour: "multipart uploads › an upload that was aborted has no list of parts",
    instead: "the refusal is NoSuchKey",
    shows: /expected NoSuchKey.* to match object \{ name: 'NoSuchUpload'/,
  },
  {
    behaviour: "multipart uploads › parts are named in ascending order",
    instead: "they are put in order",
    shows: /expected EntityTooSmall.* to match object \{ name: 'InvalidPartOrder'/,
  },
  {
    behaviour: "multipart uploads › an upload that asks for a free key completes once",
    instead: "the condition is passed over, and what is there overwritten",
    shows: passedOver,
  },
  {
    behaviour: "checksums › the SDK's checksums are kept and told",
    instead: "they are passed over",
    shows: /expected undefined to be/,
  },
  {
    behaviour: "checksums › the SDK's checksums in the trailer of a stream are kept and told",
    instead: "a stream with a trailer is refused",
    shows: /^MissingContentLength/,
  },
  {
    behaviour: "checksums › a wrong checksum is refused, and nothing stored",
    instead: "it is passed over",
    shows: passedOver,
  },
  {
    behaviour: "checksums › a checksum that is none is refused",
    instead: "it is passed over",
    shows: passedOver,
  },
  {
    behaviour: "checksums › a wrong checksum in a trailer is refused, and nothing stored",
    instead: "a stream with a trailer is refused",
    shows: /expected MissingContentLength/,
  },
  {
    behaviour: "checksums › a stream that ends early is refused, and nothing stored",
    instead: "a stream with a trailer is refused",
    shows: /expected MissingContentLength/,
  },
  {
    behaviour: "checksums › an object that came without a checksum has a CRC-64/NVME",
    instead: "it has none",
    shows: /expected undefined to be/,
  },
  {
    behaviour: "checksums › the checksum of a part is verified",
    instead: "it is passed over",
    shows: passedOver,
  },
  {
    behaviour: "signatures › another region is refused",
    instead: "any region is taken",
    shows: passedOver,
  },
  {
    behaviour: "presigned URLs › one lasts at most a week",
    instead: "a longer one is AccessDenied",
    shows: /expected \[ 403, 'AccessDenied' \]/,
  },
  {
    behaviour: "presigned URLs › a checksum that is signed has to be right",
    instead: "it is passed over, and the body stored",
    shows: /expected \[ 200, undefined \]/,
  },
  {
    behaviour: "presigned URLs › a checksum in the URL has to be right",
    instead: "it is passed over, and the body stored",
    shows: /expected 200 to be 400/,
  },
  {
    behaviour: "presigned URLs › a header of S3's own that is not signed is refused",
    instead: "it is taken",
    shows: /expected \[ 200, undefined \]/,
  },
];
