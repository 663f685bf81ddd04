// A fault in each system call of traffic control, nftables, impairments and interceptions.
import { testCalls } from "./trial.ts";
import { TRAFFIC_CALLS } from "./traffic_calls.ts";

testCalls(TRAFFIC_CALLS);
