// What our dashboards may be: Grafana's own types, with those of the two kinds of panels that we have, where Grafana's dashboard says
// only that some object is there.

import type {
  BigValueColorMode,
  Dashboard,
  DataSourceRef,
  FieldConfig,
  GraphFieldConfig,
  Panel,
  ReduceDataOptions,
  VizLegendOptions,
  VizTooltipOptions,
} from "@grafana/schema";

// As JSON has it: instead of a member of an enum its text.
type Plain<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Plain<Item>[]
    : T extends object
      ? { [Key in keyof T]: Plain<T[Key]> }
      : T;

// Of Prometheus' plug-in, which is not in that package.
interface Target {
  refId: string;
  expr: string;
  legendFormat: string;
  range: boolean;
  instant: boolean;
  datasource: DataSourceRef;
}

type Common = Omit<Panel, "type" | "options" | "targets" | "fieldConfig"> & {
  targets: Target[];
  fieldConfig: { defaults: Omit<FieldConfig, "custom"> & { custom?: GraphFieldConfig }; overrides: [] };
};

interface Graph extends Common {
  type: "timeseries";
  options: { legend: VizLegendOptions; tooltip: VizTooltipOptions };
}

interface Single extends Common {
  type: "stat";
  options: { colorMode: BigValueColorMode; reduceOptions: ReduceDataOptions };
}

export type OurDashboard = Plain<Omit<Dashboard, "panels"> & { panels: (Graph | Single)[] }>;
