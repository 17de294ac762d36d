/**
 * Every page but the first. They are made of the same parts, so that one file of them is smaller than one for each;
 * it comes once the fleet has been drawn.
 */
export { default as About } from './About.svelte';
export { default as Accounts } from './Accounts.svelte';
export { default as Alerts } from './Alerts.svelte';
export { default as Connect } from './Connect.svelte';
export { default as KeysSheet } from '$lib/components/KeysSheet.svelte';
export { default as Place } from './Place.svelte';
export { default as Places } from './Places.svelte';
export { default as SearchHits } from '$lib/components/SearchHits.svelte';
export { default as Settings } from './Settings.svelte';
export { default as Site } from './Site.svelte';
export { default as Work } from './Work.svelte';
