package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-live/tributary/forward"
)

// Metrics of targets. Those have numbers, in the order in which they are named:
// their URLs are for the log and /state.
var (
	descSending    = prometheus.NewDesc("moq_forward_sending", "1 while the target takes the stream, 0 while it does not.", []string{"target"}, nil)
	descBytes      = prometheus.NewDesc("moq_forward_sent_bytes_total", "Bytes sent to the target, RTMP's own included.", []string{"target"}, nil)
	descFrames     = prometheus.NewDesc("moq_forward_frames_total", "Frames of video and sound, by what became of them.", []string{"target", "fate"}, nil)
	descReconnects = prometheus.NewDesc("moq_forward_reconnects_total", "Connections that took the stream, after the first.", []string{"target"}, nil)
	descQueue      = prometheus.NewDesc("moq_forward_queue_bytes", "Bytes that wait to be sent to the target.", []string{"target"}, nil)
)

// collector makes a forwarder a [prometheus.Collector].
type collector struct{ *forward.Forwarder }

func (collector) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descSending, descBytes, descFrames, descReconnects, descQueue} {
		c <- d
	}
}

func (f collector) Collect(c chan<- prometheus.Metric) {
	for i, s := range f.Status() {
		put := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, fate ...string) {
			c <- prometheus.MustNewConstMetric(d, kind, v, append([]string{strconv.Itoa(i + 1)}, fate...)...)
		}
		sending := 0.0
		if s.State == forward.Sending {
			sending = 1
		}
		put(descSending, prometheus.GaugeValue, sending)
		put(descBytes, prometheus.CounterValue, float64(s.Bytes))
		put(descFrames, prometheus.CounterValue, float64(s.Frames), "sent")
		put(descFrames, prometheus.CounterValue, float64(s.Dropped), "dropped")
		put(descReconnects, prometheus.CounterValue, float64(s.Reconnects))
		put(descQueue, prometheus.GaugeValue, float64(s.QueueBytes))
	}
}
