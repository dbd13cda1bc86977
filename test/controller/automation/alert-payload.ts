/** The body of a webhook as Alertmanager 0.25 sends it. */
export interface AlertBody {
  [key: string]: unknown;
}

export function alertBody(change: AlertBody = {}, alert: AlertBody = {}): AlertBody {
  return {
    receiver: 'stillframe',
    status: 'firing',
    alerts: [
      {
        status: 'firing',
        labels: {
          alertname: 'CheckoutErrors',
          instance: '127.0.0.1:9100',
          job: 'checkout',
          severity: 'page',
        },
        annotations: { summary: 'checkout answers 4.2 errors a second', capture: 'order->customer->name' },
        startsAt: '2026-01-05T11:59:30.123Z',
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: 'http://127.0.0.1:9090/graph?g0.expr=errors&g0.tab=1',
        fingerprint: 'c0ffee0123456789',
        ...alert,
      },
    ],
    groupLabels: { alertname: 'CheckoutErrors' },
    commonLabels: { alertname: 'CheckoutErrors' },
    commonAnnotations: {},
    externalURL: 'http://127.0.0.1:9093',
    version: '4',
    groupKey: '{}:{alertname="CheckoutErrors"}',
    truncatedAlerts: 0,
    ...change,
  };
}
