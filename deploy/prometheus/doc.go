// Package prometheus holds the alert rules on netmend's metrics, and the tests of these and of the dashboard: promtool's own, and a comparison with what netmendd
// serves.
package prometheus
