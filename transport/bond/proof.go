package bond

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
)

// ExporterLabel and ExporterLength are what to ask a connection's TLS for; the
// context is empty.
const (
	ExporterLabel  = "EXPORTER-moq-bond"
	ExporterLength = 32
)

const proofSize = sha256.Size

// NewBond returns a random name and secret.
func NewBond() (id ID, secret Secret) {
	rand.Read(id[:])
	rand.Read(secret[:])
	return id, secret
}

// Prove returns the proof that the connection with the given keying material may
// join the bond as member.
func Prove(secret Secret, id ID, member uint64, exporter []byte) []byte {
	h := hmac.New(sha256.New, secret[:])
	h.Write([]byte("moq bond join 1"))
	h.Write(id[:])
	h.Write(binary.BigEndian.AppendUint64(nil, member))
	h.Write(exporter)
	return h.Sum(nil)
}

// Proven reports whether proof is the right one, in constant time.
func Proven(proof []byte, secret Secret, id ID, member uint64, exporter []byte) bool {
	return hmac.Equal(proof, Prove(secret, id, member, exporter))
}
