// Package rtmp is what those have in common who send a broadcast over RTMP and
// who take one: the URL and its secret, the connection, and how codecs travel.
//
// Handshake, chunks and AMF0 are gortmplib's. Bodies of messages are made here
// and are FLV tag bodies: H.264 and AAC as in Adobe's FLV specification, version
// 10.1, HEVC, AV1, VP9 and Opus as in Enhanced RTMP, version 2. The decoder's
// configuration goes through byte for byte.
package rtmp
