package catalog

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// New returns an independent catalog without tracks.
func New() *Catalog { return &Catalog{Version: Version} }

// Add appends a track. Its initialization data, if not empty, goes into the
// catalog in both forms that players read: as initRef with an entry of
// initDataList, and as initData in the track.
func (c *Catalog) Add(t Track, init []byte) {
	if len(init) > 0 {
		data := base64.StdEncoding.EncodeToString(init)
		t.InitRef, t.InitData = t.Name, data
		c.InitDataList = append(c.InitDataList, InitData{ID: t.Name, Type: "inline", Data: data})
	}
	c.Tracks = append(c.Tracks, t)
}

// Encode returns the JSON form. Equal catalogs give equal bytes.
func (c *Catalog) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// ErrNoInit is returned by [Catalog.Init] for a track without initialization
// data in the catalog.
var ErrNoInit = errors.New("catalog: no initialization data")

// Init returns the initialization data of a track of c: what its initRef names
// or, if that is not there, its initData.
func (c *Catalog) Init(t Track) ([]byte, error) {
	if t.InitRef != "" {
		for _, d := range c.InitDataList {
			if d.ID == t.InitRef && d.Type == "inline" {
				return decodeBase64(d.Data)
			}
		}
	}
	if t.InitData != "" {
		return decodeBase64(t.InitData)
	}
	return nil, ErrNoInit
}

// decodeBase64 reads base64 with or without padding.
func decodeBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}
