package catalog_test

import (
	"fmt"
	"log"

	"github.com/tributary-live/tributary/pub/catalog"
)

func ExampleParse() {
	c, err := catalog.Parse([]byte(`{"version":"draft-01","tracks":[
		{"name":"video","packaging":"cmaf","isLive":true,"role":"video","codec":"avc1.42C01E","initRef":"v"}],
		"initDataList":[{"id":"v","type":"inline","data":"Li4uZnR5cA=="}]}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range c.Tracks {
		header, err := c.Init(t)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %s %q\n", t.Name, t.Codec, header)
	}
	// Output: video avc1.42C01E "...ftyp"
}
