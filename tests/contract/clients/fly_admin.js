// A workspace's life through fly-admin: node fly_admin.js API_URL TOKEN APP IMAGE. Prints what it saw as JSON.
const { createClient } = require("fly-admin");

async function live(fly, app, image) {
    const seen = {};
    await fly.App.createApp({ org_slug: "personal", app_name: app, network: "fly-admin" });
    const found = await fly.App.getAppDetailed(app);
    seen.app = [found.name, found.status, found.organization.slug];
    seen.listed = (await fly.App.listApps("personal")).apps.map((one) => one.name).includes(app);
    seen.organization = (await fly.Organization.getOrganization("personal")).organization.type;
    seen.regions = (await fly.Regions.getRegions()).platform.regions.map((one) => one.code).includes("fra");

    const { allocateIpAddress } = await fly.Network.allocateIpAddress({ appId: app, type: "v6" });
    const { address } = allocateIpAddress.ipAddress;
    seen.address = (await fly.App.getAppDetailed(app)).ipAddresses.some((ip) => ip.address === address);
    seen.released = (await fly.Network.releaseIpAddress({ appId: app, ip: address })).releaseIpAddress.app.name;
    await fly.Secret.setSecrets({ appId: app, secrets: [{ key: "KEY", value: "value" }] });

    const volume = await fly.Volume.createVolume({ app_name: app, name: "data", region: "iad", size_gb: 1 });
    const config = {
        image,
        guest: { cpu_kind: "shared", cpus: 1, memory_mb: 256 },
        mounts: [{ volume: volume.id, path: "/data" }],
    };
    const made = await fly.Machine.createMachine({ app_name: app, region: "iad", config });
    const machine = { app_name: app, machine_id: made.id };
    await fly.Machine.waitMachine({ ...machine, state: "started", timeout: "30s" });
    seen.state = (await fly.Machine.getMachine(machine)).state;
    seen.machines = (await fly.Machine.listMachines(app)).length;
    seen.processes = (await fly.Machine.listProcesses(machine)).length > 0;
    seen.lease = (await fly.Machine.acquireLease({ ...machine, ttl: 1 })).status;
    seen.events = (await fly.Machine.listEvents(machine)).at(-1).type;
    await new Promise((resolve) => setTimeout(resolve, 2000)); // it can not give a lease back: it runs out
    await fly.Machine.updateMachine({ ...machine, config: { ...config, env: { NEW: "1" } } });
    seen.versions = (await fly.Machine.listVersions(machine)).length;
    await fly.Machine.waitMachine({ ...machine, state: "started", timeout: "30s" });
    const { instance_id } = await fly.Machine.getMachine(machine);
    await fly.Machine.stopMachine({ ...machine, timeout: "5s" });
    await fly.Machine.waitMachine({ ...machine, instance_id, state: "stopped", timeout: "30s" });
    seen.stopped = (await fly.Machine.getMachine(machine)).events[0].request.exit_event.requested_stop;
    const { volume: grown } = await fly.Volume.extendVolume({ app_name: app, volume_id: volume.id, size_gb: 2 });
    seen.grown = grown.size_gb;
    await fly.Machine.deleteMachine({ ...machine, force: true });
    await fly.Secret.unsetSecrets({ appId: app, keys: ["KEY"] });
    return seen;
}

async function main([api, token, app, image]) {
    const fly = createClient(token);
    Object.assign(fly, { apiUrl: api, graphqlUrl: api });
    try {
        console.log(JSON.stringify(await live(fly, app, image)));
    } finally {
        await fly.App.deleteApp(app);
    }
}

main(process.argv.slice(2)).catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
