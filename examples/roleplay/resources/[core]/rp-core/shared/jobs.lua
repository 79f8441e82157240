Jobs = {
    unemployed = {
        label = 'Civilian',
        grades = { [0] = { label = 'Unemployed', pay = 20 } },
        alwaysOnDuty = true,
    },
    police = {
        label = 'Police',
        society = true,
        grades = {
            [0] = { label = 'Cadet', pay = 90 },
            [1] = { label = 'Officer', pay = 120 },
            [2] = { label = 'Sergeant', pay = 150 },
            [3] = { label = 'Chief', pay = 200, boss = true },
        },
    },
    ambulance = {
        label = 'Ambulance',
        society = true,
        grades = {
            [0] = { label = 'Paramedic', pay = 100 },
            [1] = { label = 'Doctor', pay = 150 },
            [2] = { label = 'Surgeon', pay = 190, boss = true },
        },
    },
    mechanic = {
        label = 'Mechanic',
        society = true,
        grades = {
            [0] = { label = 'Apprentice', pay = 60 },
            [1] = { label = 'Mechanic', pay = 95 },
            [2] = { label = 'Owner', pay = 120, boss = true },
        },
    },
    courier = {
        label = 'Courier',
        grades = { [0] = { label = 'Driver', pay = 55 }, [1] = { label = 'Dispatcher', pay = 75 } },
    },
    fisher = {
        label = 'Fisher',
        grades = { [0] = { label = 'Angler', pay = 45 } },
    },
    miner = {
        label = 'Miner',
        grades = { [0] = { label = 'Digger', pay = 50 }, [1] = { label = 'Foreman', pay = 70 } },
    },
}

--- The job of this name and grade, as players carry it.
function Jobs.resolve(name, grade)
    local job = Jobs[name]
    if type(job) ~= 'table' then name, job, grade = 'unemployed', Jobs.unemployed, 0 end
    local rank = job.grades[grade]
    if not rank then grade, rank = 0, job.grades[0] end
    return {
        name = name,
        label = job.label,
        grade = grade,
        gradeLabel = rank.label,
        pay = rank.pay,
        boss = rank.boss or false,
        society = job.society or false,
        onDuty = job.alwaysOnDuty or false,
    }
end
